"""Pictures just sent and what was said of them, in memory for a few minutes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tintype.siblings import Siblings
from tintype.types import Prediction
from tintype.web.compat.policy import CompatPolicy

_QUESTION: Final = "score"
_TRANSFER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A picture and its prediction. ``image`` is empty for one too large to be kept."""

    image: bytes
    prediction: Prediction
    until: float


class RecentScores:
    """Keeps the newest, up to a number of pages, of bytes and of seconds. Belongs to one loop.

    Who knows an id may look: it is 128 bits of the system's randomness (``secrets``). Where there
    are several processes, its ending says which of them has the page.
    """

    def __init__(
        self,
        policy: CompatPolicy,
        *,
        siblings: Siblings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._siblings = siblings
        if siblings is not None:
            siblings.answer(_QUESTION, self._told)
        self._clock = clock
        self._kept: OrderedDict[str, Scored] = OrderedDict()  # oldest first
        self._bytes = 0

    def put(self, image: bytes, prediction: Prediction) -> str:
        """Keep them and return their id; they are dropped when their time is over."""
        policy = self._policy
        kept = image if len(image) <= policy.score_bytes else b""
        ending = "" if self._siblings is None else f".{self._siblings.number}"
        name = secrets.token_urlsafe(16) + ending
        until = self._clock() + policy.score_seconds
        self._kept[name] = Scored(image=kept, prediction=prediction, until=until)
        self._bytes += len(kept)
        while self._bytes > policy.score_bytes or len(self._kept) > max(policy.score_pages, 1):
            self._drop(next(iter(self._kept)))
        asyncio.get_running_loop().call_later(policy.score_seconds, self._drop, name)
        return name

    def get(self, name: str) -> Scored | None:
        """What is kept under an id; None for any other, and once its time is over."""
        scored = self._kept.get(name)
        return scored if scored is not None and self._clock() < scored.until else None

    async def find(self, name: str) -> Scored | None:
        """What is kept under an id, in whichever process."""
        scored, number = self.get(name), name.rpartition(".")[2]
        if scored is not None or self._siblings is None or number not in _numbers(self._siblings):
            return scored
        told = await self._siblings.ask_one(
            int(number), _QUESTION, list[Scored], about=name, seconds=_TRANSFER_SECONDS
        )
        return told[0] if told else None

    async def _told(self, name: str) -> list[Scored]:
        """It, or nothing."""
        scored = self.get(name)
        return [] if scored is None else [scored]

    @property
    def held(self) -> int:
        """Bytes of pictures kept now."""
        return self._bytes

    def _drop(self, name: str) -> None:
        scored = self._kept.pop(name, None)
        if scored is not None:
            self._bytes -= len(scored.image)


def _numbers(siblings: Siblings) -> list[str]:
    return [str(number) for number in range(siblings.of)]
