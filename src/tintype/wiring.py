"""From settings and cards to running services, and back down, as one context manager."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from tintype.batching.gate import ByteGate
from tintype.models.card import Card
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan, plan_model
from tintype.predict import Lanes, Predictor
from tintype.settings import Settings


async def make_plans(cards: tuple[Card, ...]) -> tuple[ModelPlan, ...]:
    """Read every model file, side by side. Raises ModelFileError of the first that fails."""
    return tuple(await asyncio.gather(*(asyncio.to_thread(plan_model, card) for card in cards)))


@asynccontextmanager
async def running(plans: tuple[ModelPlan, ...], *, settings: Settings) -> AsyncIterator[Predictor]:
    """A predictor with every model loaded and warm; drained and closed on the way out."""
    hosts = tuple(
        ModelHost(plan, policy=settings.batching, options=settings.engine) for plan in plans
    )
    del plans  # each holds its graph until its engine is loaded
    async with AsyncExitStack() as stack:
        threads = os.cpu_count() or 1
        lanes = Lanes(
            quick=stack.enter_context(ThreadPoolExecutor(threads, "pictures")),
            slow=stack.enter_context(ThreadPoolExecutor(threads, "slow-pictures")),
        )
        for host in hosts:
            await stack.enter_async_context(host)
        yield Predictor(
            hosts,
            lanes=lanes,
            gate=ByteGate(settings.memory.picture_bytes),
            limits=settings.images,
            policy=settings.requests,
        )
