"""BentoML with one worker a core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType
from openvino_model import CORES, Model


@bentoml.service(workers=CORES, traffic={"timeout": 60})
class Classify:
    def __init__(self) -> None:
        self.model = Model(streams=1, threads=1)

    @bentoml.api
    def predict(self, file: Annotated[Path, ContentType("image/jpeg")]) -> list[dict[str, float]]:
        return self.model.answer(file.read_bytes())


if __name__ == "__main__":
    words = [str(Path(sys.executable).with_name("bentoml")), "serve", "bentoml_openvino:Classify"]
    words += ["--port", os.environ["BENCH_PORT"]]
    raise SystemExit(subprocess.call(words, cwd=Path(__file__).parent))
