"""What the web application is built around. ``tintype.wiring`` makes it, tests make it of fakes."""

from __future__ import annotations

from dataclasses import dataclass

from tintype.access.door import Door
from tintype.predict import Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The running parts that routes call. Somebody else starts and stops them.

    Without a ``door`` everybody may ask everything.
    """

    predictor: Predictor
    door: Door | None = None
