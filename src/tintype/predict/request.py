"""What is asked of one picture, by whom, and within which bounds it is answered."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from tintype.types import Explain, Point


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks: the id of the HTTP request, and the name of the API key, empty without one."""

    request_id: str = ""
    key: str = ""


class PredictRequest(Struct, frozen=True, kw_only=True):
    """One picture and what is asked of it.

    No ``models`` asks every served model, no ``points`` looks at the whole picture (or at its
    middle, where a model looks at a part). ``top`` and ``threshold`` (0..1) override the card.
    ``seconds`` are left for it, where it was asked elsewhere and its time runs already.
    """

    image: bytes
    models: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    top: int | None = None
    threshold: float | None = None
    explain: frozenset[Explain] = frozenset()
    caller: Caller = msgspec.field(default_factory=Caller)
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictPolicy:
    """How a request is answered.

    ``deadline_seconds``: how long it may take, from its arrival to its answer. ``parallel``: the
    models asked run side by side, else one after the other. ``max_wait_seconds`` and
    ``max_in_flight``: see ``AdmissionPolicy``.
    """

    deadline_seconds: float = 30.0
    parallel: bool = True
    max_wait_seconds: float = 5.0
    max_in_flight: int = 512
