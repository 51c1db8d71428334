"""What the web application is built around. ``tintype.wiring`` makes it, tests make it of fakes."""

from __future__ import annotations

from dataclasses import dataclass

from tintype.predict import Predictor
from tintype.record.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The running parts that routes call. Somebody else starts and stops them.

    ``record`` None: nothing is recorded.
    """

    predictor: Predictor
    record: Recorder | None = None
