"""What the web application is built around. ``tintype.wiring`` makes it, tests make it of fakes."""

from __future__ import annotations

from dataclasses import dataclass

from tintype.metrics import Metrics
from tintype.predict import Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The running parts that routes call. Somebody else starts and stops them.

    Without ``metrics`` nothing is counted and there is no ``/metrics``.
    """

    predictor: Predictor
    metrics: Metrics | None = None
