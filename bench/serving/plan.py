"""What is measured, the most telling first, so that half an hour is enough.

Everything that is compared across servers is compared on MobileNetV2 and the small picture; the
other models and pictures are Tintype's alone, beside the bare loop. ``pinned`` and ``shared`` are
numbers of connections in the two layouts of ``cores.py``; peers with Keras that no target names
are measured in the shared one alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contenders import (
    FASTAPI_SIGNATURE,
    FLASK_PREDICT,
    OPENVINO,
    PEERS,
    TINTYPE,
    TINTYPE_EACH,
    Contender,
)
from materials import MODELS

OPEN_SHARES: Final = (0.5, 0.9, 1.2, 3.0)
"""Offered loads as shares of what the server itself reached in the closed loop."""
OPEN_PEERS: Final = 2
"""How many of the peers, the best ones with Tintype's engine, also get the open loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One server on one model and picture. ``starts``: also time a cold and a warm start."""

    contender: Contender
    model: str
    picture: str
    pinned: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()
    starts: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.contender.name}, {self.model}, {self.picture} picture"


def cases(*, quick: bool) -> Iterable[Case]:
    """All of them, in order."""
    return _quick() if quick else _whole()


def _quick() -> Iterable[Case]:
    for model in ("mobilenetv2", "teachable-machine", "colours"):
        yield Case(contender=TINTYPE, model=model, picture="small", pinned=(8,), starts=True)
    few = {FLASK_PREDICT, FASTAPI_SIGNATURE, "FastAPI + OpenVINO"}
    for peer in PEERS:
        if peer.name in few:
            yield Case(contender=peer, model="mobilenetv2", picture="small", pinned=(8,))


def _whole() -> Iterable[Case]:
    def own(model: str, picture: str, pinned: tuple[int, ...], shared: tuple[int, ...]) -> Case:
        return Case(
            contender=TINTYPE,
            model=model,
            picture=picture,
            pinned=pinned,
            shared=shared,
            starts=picture == "small",
        )

    yield own("mobilenetv2", "small", (1, 8, 64), (1, 8, 64))
    for model in MODELS:
        if model != "mobilenetv2":
            yield own(model, "small", (1, 8, 64), (8,))
    for model in ("mobilenetv2", "colours"):
        for picture in ("middle", "large"):
            yield own(model, picture, (1, 8), (8,))
    yield Case(
        contender=TINTYPE_EACH, model="mobilenetv2", picture="small", shared=(1, 8, 64), starts=True
    )
    compared = {FLASK_PREDICT, FASTAPI_SIGNATURE}
    # those of the targets first, so that a slow machine leaves out what matters least
    for peer in sorted(
        PEERS, key=lambda peer: (peer.name not in compared, peer.engine != OPENVINO)
    ):
        yield Case(
            contender=peer,
            model="mobilenetv2",
            picture="small",
            pinned=(8,) if peer.name in compared or peer.engine == OPENVINO else (),
            shared=(1, 8, 64),
            starts=True,
        )
