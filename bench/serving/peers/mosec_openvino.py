"""mosec with one process a core."""

from __future__ import annotations

import json
import os
import sys

from mosec import Server, Worker
from openvino_model import CORES, Model


class Classify(Worker):
    def __init__(self) -> None:
        self.model = Model(streams=1, threads=1)

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> list[dict[str, float]]:
        return self.model.answer(data)

    def serialize(self, data: list[dict[str, float]]) -> bytes:
        return json.dumps(data).encode()


if __name__ == "__main__":
    # it reads its own flags
    sys.argv[1:] = ["--port", os.environ["BENCH_PORT"], "--timeout", "60000"]
    sys.argv[1:] += ["--max-body-size", str(32 << 20), "--log-level", "warning"]
    server = Server()
    server.append_worker(Classify, num=CORES)
    server.run()
