"""Flask around ``model.predict``: the forty lines that this field is full of."""

from __future__ import annotations

import io
import os

import keras
import numpy as np
from flask import Flask, request
from PIL import Image

app = Flask(__name__)
model = keras.saving.load_model(os.environ["BENCH_KERAS"])


@app.post("/predict")
def predict() -> list[dict[str, float]]:
    picture = Image.open(io.BytesIO(request.files["file"].read())).convert("RGB")
    row = np.asarray(picture.resize((224, 224)), np.float32)[np.newaxis] / 127.5 - 1
    scores = model.predict(row, verbose=0)[0]
    order = np.argsort(scores)[::-1][:5]
    return [{"index": int(each), "score": float(scores[each])} for each in order]


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["BENCH_PORT"]), threaded=True)
