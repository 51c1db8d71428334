"""Ray Serve: replicas behind its proxy."""

from __future__ import annotations

import os
import signal

import ray
from classifier import WORKERS, Classifier
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=WORKERS, ray_actor_options={"num_cpus": 0.5})
class Classify:
    def __init__(self) -> None:
        self.model = Classifier()

    async def __call__(self, request: Request) -> list[dict[str, float]]:
        return self.model.answer(await request.body())


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])})
    serve.run(Classify.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()
