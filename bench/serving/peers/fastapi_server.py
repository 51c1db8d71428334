"""FastAPI with a plain function, which it runs in its thread pool."""

from __future__ import annotations

import os
from typing import Annotated

import uvicorn
from classifier import CORES, Classifier
from fastapi import FastAPI, File

app = FastAPI()
model = Classifier(streams=CORES, threads=CORES)


@app.post("/predict")
def predict(file: Annotated[bytes, File()]) -> list[dict[str, float]]:
    return model.answer(file)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["BENCH_PORT"]), log_level="warning")
