"""Who is measured: Tintype and what people would use instead, each in an environment of its own.

A peer is written as its own documentation shows for a Keras model (``keras``), and again with the
same OpenVINO engine written into it by hand (``openvino``): read the ONNX file that Tintype made,
one request of two streams, Pillow to decode and resize. All answer the five best classes as JSON.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_TF: Final = ("tensorflow==2.21.0", "keras==3.15.1", "pillow==13.0.0")
_OPENVINO: Final = ("openvino==2026.4.1", "pillow==13.0.0", "numpy==2.4.6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One server: how it is installed, started and asked.

    ``command`` may hold ``{bin}`` (its environment's programs), ``{port}`` and ``{model}``;
    ``wrapped`` names the kind of body (see ``materials.CONTENT_TYPES``).
    """

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    wrapped: str
    engine: str
    environment: dict[str, str] = field(default_factory=dict)

    def words(self, *, bin_folder: Path, port: int, model: Path) -> list[str]:
        """The command with its gaps filled."""
        gaps = {"bin": str(bin_folder), "port": str(port), "model": str(model)}
        return [word.format(**gaps) for word in self.command]


TINTYPE: Final = Contender(
    name="Tintype",
    packages=(),
    command=("{bin}/tintype", "serve", "{model}", "--port", "{port}"),
    path="/api/predict",
    wrapped="raw",
    engine="OpenVINO",
)

_CORES: Final = str(os.cpu_count() or 1)


def _peer(name: str, *packages: str, start: tuple[str, ...], path: str, wrapped: str) -> Contender:
    keras = "keras" in start[-1] or "signature" in start[-1] or "flask_predict" in start[-1]
    return Contender(
        name=name,
        packages=(*packages, *(_TF if keras else _OPENVINO)),
        command=start,
        path=path,
        wrapped=wrapped,
        engine="TensorFlow" if keras else "OpenVINO",
    )


def _script(file: str) -> tuple[str, ...]:
    return ("{bin}/python", str(HERE / "peers" / file))


PEERS: Final = (
    _peer(
        "Flask + model.predict",
        "flask==3.1.3",
        start=_script("flask_predict.py"),
        path="/predict",
        wrapped="form",
    ),
    _peer(
        "FastAPI + SavedModel signature",
        "fastapi",
        "uvicorn[standard]",
        "python-multipart",
        start=_script("fastapi_signature.py"),
        path="/predict",
        wrapped="form",
    ),
    _peer(
        "FastAPI + OpenVINO",
        "fastapi",
        "uvicorn[standard]",
        "python-multipart",
        start=_script("fastapi_openvino.py"),
        path="/predict",
        wrapped="form",
    ),
    _peer(
        "mosec + OpenVINO",
        "mosec==0.9.8",
        start=_script("mosec_openvino.py"),
        path="/inference",
        wrapped="raw",
    ),
    _peer(
        "BentoML + OpenVINO",
        "bentoml==1.4.40",
        start=_script("bentoml_openvino.py"),
        path="/predict",
        wrapped="form",
    ),
    _peer(
        "Ray Serve + OpenVINO",
        "ray[serve]==2.60.0",
        start=_script("ray_openvino.py"),
        path="/predict",
        wrapped="raw",
    ),
)
