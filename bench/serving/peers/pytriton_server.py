"""Triton through PyTriton: its HTTP port, and Python functions behind it."""

from __future__ import annotations

import json
import os
import socket

import numpy as np
from classifier import WORKERS, Classifier
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def worker() -> object:
    model = Classifier()

    @batch
    def answer(image: np.ndarray) -> dict[str, np.ndarray]:
        texts = [[json.dumps(model.answer(each)).encode()] for each in image[:, 0]]
        return {"labels": np.array(texts, dtype=bytes)}

    return answer


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=int(os.environ["BENCH_PORT"]),
        grpc_port=free_port(),
        metrics_port=free_port(),
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="classify",
            infer_func=[worker() for _ in range(WORKERS)],
            inputs=[Tensor(name="image", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="labels", dtype=bytes, shape=(1,))],
            config=ModelConfig(max_batch_size=8),
        )
        triton.serve()
