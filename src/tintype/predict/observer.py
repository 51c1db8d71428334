"""Who is told of every request."""

from __future__ import annotations

from typing import Protocol

from tintype.errors import TintypeError
from tintype.predict.request import PredictRequest
from tintype.types import Prediction


class Observer(Protocol):
    """Is told of every request: the record, the metrics and the log are observers.

    Called in the event loop, before the caller has the answer. Must not block, await or raise.
    """

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """A prediction is about to be given; some of its results may be errors."""
        ...

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """The request ends with ``error``, ``seconds`` after it came."""
        ...
