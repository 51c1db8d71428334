"""OpenVINO: eight pictures in one run against eight runs of one picture.

python bench/batch_sizes.py MODEL [--side 224] [--times 20]

MODEL is anything OpenVINO reads with one N x H x W x 3 float32 input. One thread; the smallest
time of each way counts. Prints ratios to eight runs of a graph compiled for a batch of one.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import openvino


def compiled(path: str, *, batch: int, side: int) -> Any:
    """An infer request for that batch size; -1 is any."""
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({model.input(0): [batch, side, side, 3]})
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return core.compile_model(model, "CPU", properties).create_infer_request()


def main() -> None:
    """Print a line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    eight = np.random.default_rng(0).random((8, options.side, options.side, 3), dtype=np.float32)
    tries = {
        "one at a time, compiled for one": (1, 1),
        "eight at once, compiled for eight": (8, 8),
        "eight at once, compiled for any": (-1, 8),
        "one at a time, compiled for any": (-1, 1),
    }
    requests = {
        name: compiled(options.model, batch=batch, side=options.side)
        for name, (batch, _) in tries.items()
    }
    best = dict.fromkeys(tries, float("inf"))
    for _ in range(options.times):
        for name, (_, rows) in tries.items():
            begun = time.perf_counter()
            for start in range(0, 8, rows):
                requests[name].infer(eight[start : start + rows], share_inputs=True)
            best[name] = min(best[name], time.perf_counter() - begun)
    base = next(iter(best.values()))
    for name, seconds in best.items():
        print(f"{name:36} {seconds / base:5.2f}  ({1000 * seconds:.1f} ms)")


if __name__ == "__main__":
    main()
