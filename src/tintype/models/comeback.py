"""A model on another server that was not there at the start, served as soon as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from tintype.errors import TintypeError
from tintype.models.card import Card
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan, plan_model

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0

log = structlog.get_logger(__name__)


async def await_remote(card: Card, *, host_of: Callable[[ModelPlan], ModelHost]) -> ModelHost:
    """Ask again and again, with growing pauses in seconds, until the model is loaded and warm.

    Whoever awaits it leaves the host in the end. What is in the way is told to the log whenever it
    is something else than before.
    """
    pause, last = _FIRST_PAUSE, ""
    while True:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            host = await host_of(await asyncio.to_thread(plan_model, card)).__aenter__()
        except TintypeError as error:
            if error.message != last:
                last = error.message
                log.warning("remote model not there", model=card.name, why=last)
        else:
            log.info("remote model is served", model=card.name)
            return host
