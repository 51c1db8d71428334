"""Who is measured: Tintype and what people would use instead, each in an environment of its own.

A peer is measured as its own documentation shows for a Keras model, and again with the same
OpenVINO engine written into it by hand (``peers/classifier.py``). All answer the five best classes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
_ENGINES: Final = (
    "tensorflow==2.21.0",
    "keras==3.15.1",
    "openvino==2026.4.1",
    "pillow==13.0.0",
)
OPENVINO: Final = "OpenVINO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One server: how it is installed, started and asked.

    ``environment`` names its virtual environment; empty for the one that runs the benchmark.
    ``python`` is the interpreter that it is made with; empty for the one of the benchmark.
    ``command`` may hold ``{bin}`` (its programs), ``{port}``, ``{model}`` and ``{state}`` (an
    empty folder); ``wrapped`` is how a picture travels (``materials.WRAPPINGS``).
    """

    name: str
    environment: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    wrapped: str
    engine: str
    python: str = ""
    surroundings: dict[str, str] = field(default_factory=dict)


def _locked() -> tuple[str, ...]:
    """What Tintype's users install, each in the version that is tested: ``requirements.txt``."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = (line.removesuffix("\\").strip() for line in lines if "==" in line)
    return tuple(pin for pin in pins if pin[0] not in "-#")


TINTYPE: Final = Contender(
    name="Tintype",
    environment="tintype",  # as its users have it: the developers' holds what slows the imports
    packages=(*_locked(), "."),
    command=("{bin}/tintype", "serve", "{model}", "--port", "{port}", "--state", "{state}"),
    path="/api/predict",
    wrapped="raw",
    engine=OPENVINO,
)

TINTYPE_EACH: Final = replace(
    TINTYPE,
    name="Tintype, a process a core",
    command=(*TINTYPE.command, "--processes", str(len(os.sched_getaffinity(0)))),
)
"""As peers are run that have processes, on all cores alone."""

TINTYPE_HERE: Final = replace(TINTYPE, environment="", packages=())
"""The same out of the environment that runs the benchmark: nothing is installed for it."""

_ENGINE_NAMES: Final = {
    "keras": "Keras, model.predict",
    "signature": "SavedModel signature",
    "openvino": OPENVINO,
}


def _peer(
    name: str, *packages: str, path: str, wrapped: str, keras: str = "keras", python: str = ""
) -> tuple[Contender, ...]:
    """One server twice: with Keras (``keras`` or its ``signature``), and with OpenVINO."""
    short = name.lower().replace(" serve", "")
    return tuple(
        Contender(
            name=f"{name} + {_ENGINE_NAMES[engine]}",
            environment=short,
            packages=(*packages, *_ENGINES),
            command=("{bin}/python", str(HERE / "peers" / f"{short}_server.py")),
            path=path,
            wrapped=wrapped,
            engine=_ENGINE_NAMES[engine],
            python=python,
            surroundings={"BENCH_ENGINE": engine},
        )
        for engine in (keras, "openvino")
    )


_DEBIANS: Final = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else ""
"""PyTriton's models run in an interpreter compiled into it, on the library of the environment's:
with 3.11.5 and later of that, they end with ``'_thread.RLock' object has no attribute
'_recursion_count'``. Debian 12 has 3.11.2."""

PEERS: Final = (
    *_peer("Flask", "flask==3.1.3", path="/predict", wrapped="form"),
    *_peer(
        "FastAPI",
        "fastapi==0.165.0",
        "uvicorn[standard]==0.54.0",
        "python-multipart==0.0.34",
        path="/predict",
        wrapped="form",
        keras="signature",
    ),
    *_peer("LitServe", "litserve==0.2.19", path="/predict", wrapped="json"),
    *_peer("mosec", "mosec==0.9.8", path="/inference", wrapped="raw"),
    *_peer("BentoML", "bentoml==1.4.40", path="/predict", wrapped="form"),
    *_peer(
        "MLServer",
        "mlserver==1.7.1",
        "uvloop==0.21.0",  # its workers die on a later one
        path="/v2/models/classify/infer",
        wrapped="v2-json",
    ),
    *_peer(
        "PyTriton",
        "nvidia-pytriton==0.7.0",
        path="/v2/models/classify/infer",
        wrapped="v2-binary",
        python=_DEBIANS,
    ),
    *_peer("Ray Serve", "ray[serve]==2.60.0", path="/predict", wrapped="raw"),
)
FLASK_PREDICT: Final = PEERS[0].name
FASTAPI_SIGNATURE: Final = PEERS[2].name
