"""The engine that every peer gets: what a careful person writes by hand around OpenVINO."""

from __future__ import annotations

import io
import os
import queue

import numpy as np
import openvino
from PIL import Image

MODEL = os.environ["BENCH_ONNX"]
CORES = os.cpu_count() or 1


class Model:
    """MobileNetV2: a picture's bytes in, its five best classes out. May be called from threads.

    ``streams`` requests run side by side on ``threads`` threads together.
    """

    def __init__(self, *, streams: int = CORES, threads: int = CORES) -> None:
        core = openvino.Core()
        model = core.read_model(MODEL)
        model.reshape([1, 224, 224, 3])
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
        }
        compiled = core.compile_model(model, "CPU", settings)
        self._requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def prepare(self, data: bytes) -> np.ndarray:
        """Decode, resize to 224 x 224 and scale to -1..1: 1 x 224 x 224 x 3."""
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224))
        return (np.asarray(picture, np.float32) / 127.5 - 1)[np.newaxis]

    def run(self, row: np.ndarray) -> np.ndarray:
        """The scores of one row."""
        request = self._requests.get()
        try:
            return request.infer(row)[0][0].copy()
        finally:
            self._requests.put(request)

    def best(self, scores: np.ndarray) -> list[dict[str, float]]:
        """The five best classes."""
        order = np.argsort(scores)[::-1][:5]
        return [{"index": int(each), "score": float(scores[each])} for each in order]

    def answer(self, data: bytes) -> list[dict[str, float]]:
        """All of it."""
        return self.best(self.run(self.prepare(data)))
