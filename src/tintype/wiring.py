"""From settings and cards to running services, and back down, as one context manager."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tintype.batching.gate import ByteGate
from tintype.errors import ModelFileError, ServingError, TintypeError
from tintype.metrics import (
    BATCH_PICTURES,
    MODEL_READY,
    PICTURE_BYTES,
    PICTURES_WAITING,
    QUEUE_PICTURES,
    Metrics,
)
from tintype.models.absent import AbsentModel, absence_of, absence_of_remote
from tintype.models.card import Card
from tintype.models.comeback import await_remote
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

    @property
    def comes_back(self) -> bool:
        """Whether it is a model on another server that cannot be asked just now."""
        return self.card.remote is not None and isinstance(self.error, ServingError)


async def make_plans(
    cards: tuple[Card, ...], *, left_out: Callable[[LeftOut], None], patient: bool = False
) -> tuple[ModelPlan, ...]:
    """Read every model file, side by side.

    A file that was only found in a folder, or whose card has a fallback, and a model on another
    server that cannot be asked, are told to ``left_out``, unless it is the last; ``patient`` makes
    do without any where one may come back. Raises ModelFileError, or ServingError of a model on
    another server, of the first other that fails; the message tells which.
    """
    plans = await asyncio.gather(*(asyncio.to_thread(_plan, card) for card in cards))
    made = tuple(plan for plan in plans if isinstance(plan, ModelPlan))
    for failed in plans:
        if isinstance(failed, LeftOut):
            if not made and not (patient and failed.comes_back):
                raise failed.error
            left_out(failed)
    return made


def _plan(card: Card) -> ModelPlan | LeftOut:
    try:
        return plan_model(card)
    except (ModelFileError, ServingError) as error:
        failed = LeftOut(card=card, error=_named(error, card))
        if not card.may_be_absent and not failed.comes_back:
            raise failed.error from error
        return failed


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
            except (ModelFileError, ServingError) as error:
                failed.append(LeftOut(card=card, error=_named(error, card)))
                if not card.may_be_absent and not failed[-1].comes_back:
                    raise failed[-1].error from error
        for one in failed:
            if not ready and not one.comes_back:
                raise one.error
            left_out(one)
        gate = ByteGate(settings.memory.picture_bytes)
        if metrics is not None:
            _watch(metrics, ready, gate)
        predictor = Predictor(
            tuple(ready),
            absent=tuple(_absence(one) for one in (*absent, *failed)),
            lanes=lanes,
            gate=gate,
            limits=settings.images,
            policy=settings.requests,
            observers=(PredictionLog(), PredictionMetrics(metrics)) if metrics else (),
        )

        async def serve_later(card: Card) -> None:
            host = await await_remote(card, host_of=lambda plan: _host(plan, settings, metrics))
            stack.push_async_exit(host)
            ready.append(host)
            predictor.put(host)

        waiting = [
            asyncio.create_task(serve_later(one.card))
            for one in (*absent, *failed)
            if one.comes_back
        ]
        try:
            yield Services(predictor=predictor, inputs=inputs, metrics=metrics)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


def _absence(one: LeftOut) -> AbsentModel:
    return absence_of_remote(one.card, one.error) if one.comes_back else absence_of(one.card)


def _host(plan: ModelPlan, settings: Settings, metrics: Metrics | None) -> ModelHost:
    def count(pictures: int) -> None:
        if metrics is not None:
            metrics.observe(BATCH_PICTURES, pictures, plan.card.name)

    return ModelHost(plan, policy=settings.batching, options=settings.engine, on_batch=count)


def _watch(metrics: Metrics, hosts: Sequence[ModelHost], gate: ByteGate) -> None:
    metrics.watch(PICTURE_BYTES, lambda: [((), gate.held)])
    metrics.watch(PICTURES_WAITING, lambda: [((), gate.waiting())])
    metrics.watch(
        QUEUE_PICTURES, lambda: [((host.name, host.version), host.waiting()) for host in hosts]
    )
    metrics.watch(
        MODEL_READY,
        lambda: [((host.name, host.version), host.health is Health.READY) for host in hosts],
    )


def _fetch(policy: InputPolicy) -> Fetch | None:
    """What fetches pictures by URL, None where that is off. Raises SettingsError."""
    if not policy.urls:
        return None
    from tintype.web.fetch import Fetcher  # noqa: PLC0415 - few servers fetch: kept off the start

    return Fetcher(policy.url_policy(), redirects=policy.url_redirects).fetch
