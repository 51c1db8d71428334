"""From cards to hosts that may be served: planned, loaded, warm, and right on their golden set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from tintype.engines.engine import CPU
from tintype.imaging.limits import DecodeLimits
from tintype.models.card import Card
from tintype.models.golden import check_golden
from tintype.models.host import ModelHost
from tintype.models.hosted import Hosted
from tintype.models.plan import ModelPlan, plan_model

MakeHost: TypeAlias = Callable[[ModelPlan], Hosted]
"""A plan to its host, which nothing has been loaded into."""


class Loader:
    """Loads versions. What it raises leaves nothing behind.

    ``device`` is for cards that name none.
    """

    def __init__(self, make: MakeHost, *, limits: DecodeLimits, device: str = CPU) -> None:
        self._make = make
        self._device = device
        self._limits = limits

    async def load(self, plan: ModelPlan) -> Hosted:
        """A host that answers. Leave its context to end it. Raises ModelFileError, ServingError."""
        host = self._make(plan)
        await host.__aenter__()
        try:
            if isinstance(host, ModelHost):  # of one that runs elsewhere it was checked there
                await check_golden(host, limits=self._limits)
        except BaseException:
            await host.__aexit__(None, None, None)
            raise
        return host

    async def load_card(self, card: Card) -> Hosted:
        """The same from a card. Raises SettingsError too, for an engine that is not there."""
        return await self.load(await asyncio.to_thread(plan_model, card, device=self._device))
