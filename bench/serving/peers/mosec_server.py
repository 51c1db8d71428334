"""mosec: worker processes behind its own HTTP server."""

from __future__ import annotations

import json
import os
import sys

from classifier import WORKERS, Classifier
from mosec import Server, Worker


class Classify(Worker):
    def __init__(self) -> None:
        self.model = Classifier()

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
    server.append_worker(Classify, num=WORKERS)
    server.run()
