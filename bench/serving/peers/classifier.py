"""MobileNetV2 as every peer gets it: a picture's bytes in, its five best classes out.

``BENCH_ENGINE`` says which engine: ``keras`` (the file, ``model.predict``), ``signature`` (the
SavedModel's own function) or ``openvino`` (what a careful person writes by hand around the ONNX
file that Tintype made of the same weights). Each is imported only where it is wanted.
"""

from __future__ import annotations

import io
import os
import queue
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from PIL import Image

Run: TypeAlias = Callable[[np.ndarray], np.ndarray]
ENGINE: Final = os.environ["BENCH_ENGINE"]
CORES: Final = len(os.sched_getaffinity(0))
WORKERS: Final = CORES if ENGINE == "openvino" else 1
"""Processes of a server that scales by processes: with Keras the one of its documentation (which
takes every core), with OpenVINO one a core, each with one thread."""


class Classifier:
    """May be called from threads. ``streams`` pictures run side by side on ``threads`` threads."""

    def __init__(self, *, streams: int = 1, threads: int = 1) -> None:
        makers = {"keras": _keras, "signature": _signature}
        self._run = makers[ENGINE]() if ENGINE in makers else _openvino(streams, threads)

    def answer(self, data: bytes) -> list[dict[str, float]]:
        """Decode, resize, scale, run, and the best five."""
        return best(self._run(prepare(data)))


def prepare(data: bytes) -> np.ndarray:
    """Decode, resize to 224 x 224 and scale to -1..1: 1 x 224 x 224 x 3."""
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224))
    return (np.asarray(picture, np.float32) / 127.5 - 1)[np.newaxis]


def best(scores: np.ndarray) -> list[dict[str, float]]:
    """The five best classes."""
    order = np.argsort(scores)[::-1][:5]
    return [{"index": int(each), "score": float(scores[each])} for each in order]


def _keras() -> Run:
    import keras

    model = keras.saving.load_model(os.environ["BENCH_KERAS"])
    return lambda row: model.predict(row, verbose=0)[0]


def _signature() -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(os.environ["BENCH_SAVEDMODEL"])
    signature = loaded.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    def run(row: np.ndarray) -> np.ndarray:
        return next(iter(signature(**{name: tf.constant(row)}).values())).numpy()[0]

    run.variables = loaded  # the signature alone does not keep them alive
    return run


def _openvino(streams: int, threads: int) -> Run:
    import openvino

    core = openvino.Core()
    model = core.read_model(os.environ["BENCH_ONNX"])
    model.reshape([1, 224, 224, 3])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = core.compile_model(model, "CPU", settings)
    requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
    for _ in range(streams):
        requests.put(compiled.create_infer_request())

    def run(row: np.ndarray) -> np.ndarray:
        request = requests.get()
        try:
            return request.infer(row)[0][0].copy()
        finally:
            requests.put(request)

    return run
