"""FastAPI around the signature of a SavedModel."""

from __future__ import annotations

import io
import os
from typing import Annotated

import numpy as np
import tensorflow as tf
import uvicorn
from fastapi import FastAPI, File
from PIL import Image

app = FastAPI()
loaded = tf.saved_model.load(os.environ["BENCH_SAVEDMODEL"])
signature = loaded.signatures["serving_default"]
(name,) = signature.structured_input_signature[1]


@app.post("/predict")
def predict(file: Annotated[bytes, File()]) -> list[dict[str, float]]:
    picture = Image.open(io.BytesIO(file)).convert("RGB").resize((224, 224))
    row = np.asarray(picture, np.float32)[np.newaxis] / 127.5 - 1
    scores = next(iter(signature(**{name: tf.constant(row)}).values())).numpy()[0]
    order = np.argsort(scores)[::-1][:5]
    return [{"index": int(each), "score": float(scores[each])} for each in order]


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["BENCH_PORT"]), log_level="warning")
