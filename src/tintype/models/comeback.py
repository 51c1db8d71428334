"""Models on other servers that were not there at the start, served as soon as they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

import structlog

from tintype.errors import TintypeError
from tintype.models.card import Card
from tintype.models.keeper import Load, ModelEvents
from tintype.models.registry import Registry, Served

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0

log = structlog.get_logger(__name__)


class Comebacks:
    """While it is entered, asks for each model again and again, with growing pauses in seconds.

    What is in the way is told to the log whenever it is something else than before.
    """

    def __init__(
        self,
        cards: Iterable[Card],
        registry: Registry,
        *,
        load: Load,
        events: tuple[ModelEvents, ...] = (),
    ) -> None:
        self._cards = tuple(cards)
        self._registry = registry
        self._load = load
        self._events = events
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to ask."""
        self._tasks = [asyncio.ensure_future(self._await(card)) for card in self._cards]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask no more. What is served by now belongs to the registry."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _await(self, card: Card) -> None:
        pause, last = _FIRST_PAUSE, ""
        while self._registry.served(card.name) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            begun = time.monotonic()
            try:
                host = await self._load(card)
            except TintypeError as error:
                if error.message != last:
                    last = error.message
                    log.warning("remote model not there", model=card.name, why=last)
                continue
            if self._registry.served(card.name) is not None:  # its card has changed meanwhile
                await host.__aexit__(None, None, None)
                return
            self._registry.put(Served(stable=host))
            for event in self._events:
                event.loaded(host, seconds=time.monotonic() - begun)
