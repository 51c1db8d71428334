"""The shadow of a canary: it answers pictures unseen, and what differs is noted.

The picture is asked again after its caller has the answer, so nobody waits for the shadow, and
what goes wrong in it hurts nobody. The price is a second decoding.
"""

from __future__ import annotations

import asyncio
import enum
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

from msgspec.structs import replace

from tintype.errors import TintypeError
from tintype.models.registry import CANARY, Registry
from tintype.predict import PredictRequest
from tintype.types import Prediction, Result

_AT_ONCE: Final = 8
"""Pictures in the shadow at one time. Each holds its bytes; what comes above is not asked."""

Ask: TypeAlias = Callable[[PredictRequest], Awaitable[Prediction]]
"""A predictor that nobody observes: what the shadow says is no answer to anybody."""


_Placed: TypeAlias = tuple[int, Result]
"""A result and its place in the prediction."""


class Outcome(enum.StrEnum):
    """What came of a comparison. ``skipped``: too many were at work already."""

    AGREES = "agrees"
    DIFFERS = "differs"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One result of the stable version beside the canary's, None where it gave none.

    ``position`` is the stable result's place in the prediction, from 0.
    """

    request: PredictRequest
    prediction_id: str
    position: int
    stable: Result
    canary: Result | None
    outcome: Outcome


class Listener(Protocol):
    """Is told of every comparison, in the event loop. Must not block, await or raise."""

    def compared(self, comparison: Comparison) -> None:
        """One result was compared, or could not be."""
        ...


class Shadow:
    """An Observer: asks the canary of each model in shadow mode what the stable one was asked.

    Inside its context only; leaving it drops what is at work.
    """

    def __init__(self, registry: Registry, *, ask: Ask, listeners: tuple[Listener, ...]) -> None:
        self._registry = registry
        self._ask = ask
        self._listeners = listeners
        self._at_work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is at work."""
        while self._at_work:
            await asyncio.gather(*self._at_work, return_exceptions=True)

    def answered(self, request: PredictRequest, prediction: Prediction) -> None:
        """Ask the canaries, where there are any in the shadow."""
        shadowed: dict[str, list[_Placed]] = defaultdict(list)
        for position, result in enumerate(prediction.results):
            if result.error is None and self._in_shadow(result):
                shadowed[result.model].append((position, result))
        for model, results in shadowed.items():
            if len(self._at_work) >= _AT_ONCE:
                self._tell(request, prediction.id, results, [], missing=Outcome.SKIPPED)
                continue
            task = asyncio.ensure_future(self._compare(model, request, prediction.id, results))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    def refused(self, request: PredictRequest, error: TintypeError, *, seconds: float) -> None:
        """Nothing: there is no answer to compare with."""

    def _in_shadow(self, result: Result) -> bool:
        served = self._registry.served(result.model)
        if served is None or served.canary is None or not served.shadow:
            return False
        return result.version == served.stable.version

    async def _compare(
        self, model: str, request: PredictRequest, prediction_id: str, results: list[_Placed]
    ) -> None:
        asked = replace(request, models=(f"{model}@{CANARY}",), explain=frozenset())
        try:
            told = (await self._ask(asked)).results
        except TintypeError:
            told = ()
        self._tell(request, prediction_id, results, [*told], missing=Outcome.FAILED)

    def _tell(
        self,
        request: PredictRequest,
        prediction_id: str,
        results: list[_Placed],
        told: list[Result],
        *,
        missing: Outcome,
    ) -> None:
        by_point = {result.point: result for result in told if result.error is None}
        for position, stable in results:
            canary = by_point.get(stable.point)
            outcome = missing
            if canary is not None:
                outcome = Outcome.AGREES if agree(stable, canary) else Outcome.DIFFERS
            comparison = Comparison(
                request=request,
                prediction_id=prediction_id,
                position=position,
                stable=stable,
                canary=canary,
                outcome=outcome,
            )
            for listener in self._listeners:
                listener.compared(comparison)


def agree(one: Result, other: Result) -> bool:
    """Whether two results say the same: the first label, or the labels of all boxes."""
    return _said(one) == _said(other)


def _said(result: Result) -> list[str]:
    if result.boxes is not None:
        return sorted(box.label for box in result.boxes)
    return [each.label for each in (result.labels or ())[:1]]
