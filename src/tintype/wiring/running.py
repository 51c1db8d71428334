"""From settings and cards to running services, and back down, as one context manager."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tintype.batching.gate import ByteGate
from tintype.cores import usable_cores
from tintype.engines.stand_back import stand_back
from tintype.imaging.limits import DecodeLimits
from tintype.live import LiveWindow
from tintype.metrics import PICTURE_BYTES, PICTURES_WAITING, Metrics
from tintype.models.card import Card
from tintype.models.comeback import Comebacks
from tintype.models.far import FarModel, Place
from tintype.models.keeper import Keeper, ModelEvents
from tintype.models.library import Find
from tintype.models.loading import Loader, MakeHost
from tintype.models.plan import ModelPlan
from tintype.models.registry import Registry
from tintype.observers import (
    ModelLog,
    ModelMetrics,
    PredictionLog,
    PredictionMetrics,
    ShadowLog,
    ShadowMetrics,
    watch_models,
)
from tintype.predict import Lanes, Observer, Predictor
from tintype.predict.far import Far
from tintype.predict.here import Here
from tintype.predict.prepare import Preparer
from tintype.record.recorder import Recorder
from tintype.settings import Settings
from tintype.shadow import Listener, Shadow
from tintype.tracing import Tracing, provider_from_environment
from tintype.web.inputs import Inputs
from tintype.web.paths import allowed_roots
from tintype.web.services import Services
from tintype.wiring.entrance import make_fetch, open_door
from tintype.wiring.loading import Telling, load_all, load_canaries, make_host
from tintype.wiring.plans import LeftOut
from tintype.wiring.recording import (
    ModelRecord,
    ShadowRecord,
    make_picture_keeper,
    make_recorder,
    watch_record,
)
from tintype.wiring.siblings import Parts, meet
from tintype.worker import ALONE, Worker

if TYPE_CHECKING:
    from tintype.models.reference import References

_FILE_THREADS = 4

Places: TypeAlias = Callable[[Card], Place]
"""Where each model runs that is not here."""


@asynccontextmanager
async def running(  # noqa: PLR0913 - what is served, and in which way
    plans: tuple[ModelPlan, ...],
    *,
    settings: Settings,
    left_out: Callable[[LeftOut], None],
    absent: tuple[LeftOut, ...] = (),
    find: Find | None = None,
    places: Places | None = None,
    pinned: bool = False,
    worker: Worker = ALONE,
) -> AsyncIterator[Services]:
    """Every service, each model loaded and warm; drained and closed on the way out.

    A model that may be absent and cannot be loaded is told to ``left_out``, unless no other is
    ready; ``absent`` are those whose file could not even be read. ``find`` makes it a server's:
    predictions are logged, counted and recorded, and the models follow the files that it finds.
    ``places`` make it a server's too, whose models run elsewhere. Those, and ``pinned`` ones, stay
    as they are to the end, canaries among them. ``worker`` is which of several processes of one
    server this is.
    Raises ModelFileError, SettingsError, ServingError, naming the file.
    """
    serves = find is not None or places is not None
    metrics = Metrics() if serves else None
    make_hosts = partial(make_host, settings=settings, metrics=metrics, company=serves or pinned)
    loader = Loader(
        make_hosts if places is None else _far_hosts(places),
        limits=settings.images,
        device=settings.engine.device,
    )
    record = make_recorder(settings) if serves else None
    live = LiveWindow() if serves else None
    events = _events(metrics, record)
    # a plan holds its graph until it is loaded, so no other list of them may live on here
    cards, unloaded, plans = [plan.card for plan in plans], [*plans], ()
    async with AsyncExitStack() as stack:
        door = await open_door(settings, stack, metrics) if serves else None
        lanes = _lanes(stack, nice=settings.engine.nice)
        files = stack.enter_context(ThreadPoolExecutor(_FILE_THREADS, "named-pictures"))
        inputs = Inputs(
            settings.inputs,
            roots=allowed_roots(settings.inputs.paths),
            threads=files,
            fetch=make_fetch(settings.inputs),
        )
        registry = await stack.enter_async_context(Registry())
        telling = Telling(left_out, absent, events)
        waiting = await load_all(unloaded, registry, loader, telling)
        if pinned or places is not None:
            await load_canaries(cards, registry, loader, telling)
        await stack.enter_async_context(
            Comebacks(waiting, registry, load=loader.load_card, events=events)
        )
        gate = ByteGate(settings.memory.picture_bytes)
        preparer = Preparer(lanes=lanes, gate=gate)
        answers = Here if places is None else Far
        make = partial(
            Predictor,
            registry,
            answering=answers(preparer, parallel=settings.requests.parallel),
            limits=settings.images,
            policy=settings.requests,
        )
        observers: tuple[Observer, ...] = () if live is None else (live,)
        pictures = keeper = tracing = siblings = None
        if record is not None:
            stack.enter_context(record)
            pictures = stack.enter_context(make_picture_keeper(settings, record))
            # in this order: pictures are of what is recorded
            observers = (*observers, record, pictures)
        if metrics is not None:
            listeners: tuple[Listener, ...] = (ShadowLog(), ShadowMetrics(metrics))
            if record is not None:
                listeners = (*listeners, ShadowRecord(record))
            shadow = Shadow(registry, ask=make().predict, listeners=listeners)
            await stack.enter_async_context(shadow)
            observers = (PredictionLog(), PredictionMetrics(metrics), *observers, shadow)
            if settings.tracing.enabled:
                tracing = Tracing(provider_from_environment())
                stack.push_async_callback(asyncio.to_thread, tracing.close)
                observers = (*observers, tracing)
            if find is not None:
                keeper = Keeper(
                    registry,
                    find=find,
                    load=loader.load_card,
                    policy=settings.models,
                    events=events,
                )
                await stack.enter_async_context(keeper)
            _watch(metrics, registry, gate)
            await watch_record(metrics, record, pictures, registry=registry, stack=stack)
            parts = Parts(live=live, door=door, record=record, keeper=keeper)
            siblings = await meet(worker, parts, settings=settings, stack=stack)
        predictor = make(observers=observers)
        yield Services(
            predictor=predictor,
            door=door,
            inputs=inputs,
            metrics=metrics,
            record=record,
            pictures=pictures,
            live=live,
            references=partial(_references, registry, limits=settings.images),
            keeper=keeper,
            tracing=tracing,
            siblings=siblings,
        )


def _lanes(stack: AsyncExitStack, *, nice: int) -> Lanes:
    threads, begin = usable_cores(), partial(stand_back, nice)
    return Lanes(
        quick=stack.enter_context(ThreadPoolExecutor(threads, "pictures", begin)),
        slow=stack.enter_context(ThreadPoolExecutor(threads, "slow-pictures", begin)),
    )


def _far_hosts(places: Places) -> MakeHost:
    """What makes a plan into a host at its place."""
    return lambda plan: FarModel(plan, place=places(plan.card))


def _references(registry: Registry, *, limits: DecodeLimits) -> References:
    from tintype.models.reference import References  # noqa: PLC0415 - for the dashboard alone

    return References(registry, limits=limits)


def _events(metrics: Metrics | None, record: Recorder | None) -> tuple[ModelEvents, ...]:
    counted = () if metrics is None else (ModelLog(), ModelMetrics(metrics))
    return counted if record is None else (*counted, ModelRecord(record))


def _watch(metrics: Metrics, registry: Registry, gate: ByteGate) -> None:
    watch_models(metrics, registry)
    metrics.watch(PICTURE_BYTES, lambda: [((), gate.held)])
    metrics.watch(PICTURES_WAITING, lambda: [((), gate.waiting())])
