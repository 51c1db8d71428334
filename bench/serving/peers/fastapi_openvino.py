"""FastAPI, a plain function in its thread pool, and OpenVINO."""

from __future__ import annotations

import os
from typing import Annotated

import uvicorn
from fastapi import FastAPI, File
from openvino_model import Model

app = FastAPI()
model = Model()


@app.post("/predict")
def predict(file: Annotated[bytes, File()]) -> list[dict[str, float]]:
    return model.answer(file)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["BENCH_PORT"]), log_level="warning")
