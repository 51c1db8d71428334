"""From settings and cards to running services, and back down, as one context manager."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tintype.access.door import Door
from tintype.access.keyring import Keyring
from tintype.access.limits import Limiter, MemoryLimiter
from tintype.access.redis_limits import RedisLimiter
from tintype.access.store import KeyStore
from tintype.batching.gate import ByteGate
from tintype.errors import EngineFailed, ModelFileError, TintypeError
from tintype.metrics import (
    BATCH_PICTURES,
    MODEL_READY,
    PICTURE_BYTES,
    PICTURES_WAITING,
    QUEUE_PICTURES,
    Metrics,
)
from tintype.models.absent import absence_of
from tintype.models.card import Card
from tintype.models.host import ModelHost
from tintype.models.info import Health
from tintype.models.plan import ModelPlan, plan_model
from tintype.observers import PredictionLog, PredictionMetrics
from tintype.predict import Lanes, Predictor
from tintype.settings import Settings
from tintype.web.inputs import Fetch, InputPolicy, Inputs
from tintype.web.paths import allowed_roots
from tintype.web.services import Services

_FILE_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A model that cannot be served and need not be (see ``Card.may_be_absent``), and why."""

    card: Card
    error: TintypeError


async def make_plans(
    cards: tuple[Card, ...], *, left_out: Callable[[LeftOut], None]
) -> tuple[ModelPlan, ...]:
    """Read every model file, side by side.

    A file that was only found in a folder, or whose card has a fallback, is told to ``left_out``
    when it cannot be served, unless it is the last. Raises ModelFileError of the first other that
    fails; the message tells which.
    """
    plans = await asyncio.gather(*(asyncio.to_thread(_plan, card) for card in cards))
    made = tuple(plan for plan in plans if isinstance(plan, ModelPlan))
    for failed in plans:
        if isinstance(failed, LeftOut):
            if not made:
                raise failed.error
            left_out(failed)
    return made


def _plan(card: Card) -> ModelPlan | LeftOut:
    try:
        return plan_model(card)
    except ModelFileError as error:
        named = _named(error, card)
        if not card.may_be_absent:
            raise named from error
        return LeftOut(card=card, error=named)


def _named(error: TintypeError, card: Card) -> TintypeError:
    """The error with the file in its message."""
    if card.file.name in error.message:
        return error
    return type(error)(f"{card.file}: {error.message}", hint=error.hint, **error.facts)


@asynccontextmanager
async def running(
    plans: tuple[ModelPlan, ...],
    *,
    settings: Settings,
    left_out: Callable[[LeftOut], None],
    absent: tuple[LeftOut, ...] = (),
    observed: bool = False,
) -> AsyncIterator[Services]:
    """Every service, each model loaded and warm; drained and closed on the way out.

    A model that may be absent and cannot be loaded is told to ``left_out``, unless no other is
    ready; ``absent`` are those whose file could not even be read. ``observed``: predictions are
    logged and counted, as a server's are. Raises ModelFileError, SettingsError, ServingError,
    naming the file.
    """
    roots, fetch = allowed_roots(settings.inputs.paths), _fetch(settings.inputs)
    metrics = Metrics() if observed else None
    hosts = [_host(plan, settings, metrics) for plan in plans]
    del plans  # each holds its graph until its engine is loaded
    async with AsyncExitStack() as stack:
        door = await _door(settings, stack)
        threads = os.cpu_count() or 1
        lanes = Lanes(
            quick=stack.enter_context(ThreadPoolExecutor(threads, "pictures")),
            slow=stack.enter_context(ThreadPoolExecutor(threads, "slow-pictures")),
        )
        files = stack.enter_context(ThreadPoolExecutor(_FILE_THREADS, "named-pictures"))
        inputs = Inputs(settings.inputs, roots=roots, threads=files, fetch=fetch)
        ready: list[ModelHost] = []
        failed: list[LeftOut] = []
        for host in hosts:
            card = host.plan.card
            try:
                ready.append(await stack.enter_async_context(host))
            except (ModelFileError, EngineFailed) as error:
                failed.append(LeftOut(card=card, error=_named(error, card)))
                if not card.may_be_absent:
                    raise failed[-1].error from error
        for one in failed:
            if not ready:
                raise one.error
            left_out(one)
        gate = ByteGate(settings.memory.picture_bytes)
        if metrics is not None:
            _watch(metrics, tuple(ready), gate)
        predictor = Predictor(
            tuple(ready),
            absent=tuple(absence_of(one.card) for one in (*absent, *failed)),
            lanes=lanes,
            gate=gate,
            limits=settings.images,
            policy=settings.requests,
            observers=(PredictionLog(), PredictionMetrics(metrics)) if metrics else (),
        )
        yield Services(predictor=predictor, door=door, inputs=inputs, metrics=metrics)


def _host(plan: ModelPlan, settings: Settings, metrics: Metrics | None) -> ModelHost:
    def count(pictures: int) -> None:
        if metrics is not None:
            metrics.observe(BATCH_PICTURES, pictures, plan.card.name)

    return ModelHost(plan, policy=settings.batching, options=settings.engine, on_batch=count)


def _watch(metrics: Metrics, hosts: tuple[ModelHost, ...], gate: ByteGate) -> None:
    metrics.watch(PICTURE_BYTES, lambda: [((), gate.held)])
    metrics.watch(PICTURES_WAITING, lambda: [((), gate.waiting())])
    metrics.watch(
        QUEUE_PICTURES, lambda: [((host.name, host.version), host.waiting()) for host in hosts]
    )
    metrics.watch(
        MODEL_READY,
        lambda: [((host.name, host.version), host.health is Health.READY) for host in hosts],
    )


async def _door(settings: Settings, stack: AsyncExitStack) -> Door:
    """The door with its keys read. Raises SettingsError."""
    keyring = Keyring(
        KeyStore(settings.state.path), session_seconds=settings.access.session_hours * 3600
    )
    limiter: Limiter = MemoryLimiter()
    if settings.limits.redis:
        limiter = RedisLimiter(settings.limits.redis)
    stack.push_async_callback(limiter.close)
    await stack.enter_async_context(keyring)
    return Door(keyring, policy=settings.access, limits=settings.limits, limiter=limiter)


def _fetch(policy: InputPolicy) -> Fetch | None:
    """What fetches pictures by URL, None where that is off. Raises SettingsError."""
    if not policy.urls:
        return None
    from tintype.web.fetch import Fetcher  # noqa: PLC0415 - few servers fetch: kept off the start

    return Fetcher(policy.url_policy(), redirects=policy.url_redirects).fetch
