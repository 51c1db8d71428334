"""Flask around a model: the forty lines that this field is full of."""

from __future__ import annotations

import os

from classifier import CORES, Classifier
from flask import Flask, request

app = Flask(__name__)
model = Classifier(streams=CORES, threads=CORES)


@app.post("/predict")
def predict() -> list[dict[str, float]]:
    return model.answer(request.files["file"].read())


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["BENCH_PORT"]), threaded=True)
