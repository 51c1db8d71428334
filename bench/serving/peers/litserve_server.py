"""LitServe: worker processes behind FastAPI; pictures in JSON, as its image examples have them."""

from __future__ import annotations

import base64
import os

import litserve
from classifier import WORKERS, Classifier


class Classify(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Classifier()

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["image"])

    def predict(self, data: bytes) -> list[dict[str, float]]:
        return self.model.answer(data)

    def encode_response(self, output: list[dict[str, float]]) -> dict[str, object]:
        return {"labels": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Classify(), accelerator="cpu", workers_per_device=WORKERS, timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        generate_client_file=False,
        log_level="warning",
    )
