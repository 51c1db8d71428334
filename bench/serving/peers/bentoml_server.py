"""BentoML: a service with worker processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType
from classifier import WORKERS, Classifier


@bentoml.service(workers=WORKERS, traffic={"timeout": 60})
class Classify:
    def __init__(self) -> None:
        self.model = Classifier()

    @bentoml.api
    def predict(self, file: Annotated[Path, ContentType("image/jpeg")]) -> list[dict[str, float]]:
        return self.model.answer(file.read_bytes())


if __name__ == "__main__":
    program = str(Path(sys.executable).with_name("bentoml"))
    os.chdir(Path(__file__).parent)
    words = ["serve", "bentoml_server:Classify", "--port", os.environ["BENCH_PORT"]]
    os.execv(program, [program, *words])  # noqa: S606 - the server takes this process's place
