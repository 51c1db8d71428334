"""From settings and cards to running services, and back down, as one context manager."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from tintype.access.door import Door
from tintype.access.keyring import Keyring
from tintype.access.limits import Limiter, MemoryLimiter
from tintype.access.redis_limits import RedisLimiter
from tintype.access.store import KeyStore
from tintype.batching.gate import ByteGate
from tintype.errors import ModelFileError, ServingError, TintypeError
from tintype.imaging.recipe import expand
from tintype.imaging.strip import strip
from tintype.live import LiveWindow
from tintype.metrics import (
    BATCH_PICTURES,
    PICTURE_BYTES,
    PICTURES_WAITING,
    RECORD_DROPPED,
    RECORD_QUEUE,
    Metrics,
)
from tintype.models.absent import absence_of, absence_of_remote
from tintype.models.card import Card
from tintype.models.comeback import Comebacks
from tintype.models.host import ModelHost
from tintype.models.keeper import Keeper, ModelEvents
from tintype.models.library import Find
from tintype.models.loading import Loader
from tintype.models.plan import ModelPlan, plan_model
from tintype.models.reference import References
from tintype.models.registry import Registry, Served
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
from tintype.record.picture_place import picture_place
from tintype.record.pictures import PictureKeeper
from tintype.record.place import check_place, place_of
from tintype.record.recorder import Recorder
from tintype.record.values import ModelFacts
from tintype.settings import Settings, state_folder
from tintype.shadow import Shadow
from tintype.tracing import Tracing, provider_from_environment
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
    tried = await asyncio.gather(*(asyncio.to_thread(_plan, card) for card in cards))
    made = tuple(plan for plan, _ in tried if plan is not None)
    for _, failed in tried:
        for one in failed:
            if not made and not (patient and one.comes_back):
                raise one.error
            left_out(one)
    return made


def _plan(card: Card) -> tuple[ModelPlan | None, list[LeftOut]]:
    """The plan of a card, or of the best earlier version; and what failed before it."""
    failed: list[LeftOut] = []
    for each in (card, *card.earlier):
        try:
            return plan_model(each), failed
        except (ModelFileError, ServingError) as error:
            failed.append(LeftOut(card=each, error=_named(error, each)))
    if not card.may_be_absent and not failed[0].comes_back:
        raise failed[0].error
    return None, failed


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
    find: Find | None = None,
) -> AsyncIterator[Services]:
    """Every service, each model loaded and warm; drained and closed on the way out.

    A model that may be absent and cannot be loaded is told to ``left_out``, unless no other is
    ready; ``absent`` are those whose file could not even be read. ``find`` makes it a server's:
    predictions are logged, counted and recorded, and the models follow the files that it finds.
    Raises ModelFileError, SettingsError, ServingError, naming the file.
    """
    roots, fetch = allowed_roots(settings.inputs.paths), _fetch(settings.inputs)
    metrics = Metrics() if find is not None else None
    loader = Loader(partial(_host, settings=settings, metrics=metrics), limits=settings.images)
    record = _recorder(settings) if find is not None else None
    live = LiveWindow() if find is not None else None
    events = _events(metrics, record)
    async with AsyncExitStack() as stack:
        door = await _door(settings, stack) if find is not None else None
        threads = os.cpu_count() or 1
        lanes = Lanes(
            quick=stack.enter_context(ThreadPoolExecutor(threads, "pictures")),
            slow=stack.enter_context(ThreadPoolExecutor(threads, "slow-pictures")),
        )
        files = stack.enter_context(ThreadPoolExecutor(_FILE_THREADS, "named-pictures"))
        inputs = Inputs(settings.inputs, roots=roots, threads=files, fetch=fetch)
        registry = await stack.enter_async_context(Registry())
        telling = _Telling(left_out, absent, events)
        waiting = await _load_all([*plans], registry, loader, telling)
        await stack.enter_async_context(
            Comebacks(waiting, registry, load=loader.load_card, events=events)
        )
        gate = ByteGate(settings.memory.picture_bytes)
        make = partial(
            Predictor,
            registry,
            lanes=lanes,
            gate=gate,
            limits=settings.images,
            policy=settings.requests,
        )
        observers: tuple[Observer, ...] = () if live is None else (live,)
        pictures = keeper = tracing = None
        if record is not None:
            stack.enter_context(record)
            pictures = stack.enter_context(_picture_keeper(settings, record))
            # in this order: pictures are of what is recorded
            observers = (*observers, record, pictures)
        if metrics is not None and find is not None:
            listeners = (ShadowLog(), ShadowMetrics(metrics))
            shadow = Shadow(registry, ask=make().predict, listeners=listeners)
            await stack.enter_async_context(shadow)
            observers = (PredictionLog(), PredictionMetrics(metrics), *observers, shadow)
            if settings.tracing.enabled:
                tracing = Tracing(provider_from_environment())
                stack.push_async_callback(asyncio.to_thread, tracing.close)
                observers = (*observers, tracing)
            keeper = Keeper(
                registry, find=find, load=loader.load_card, policy=settings.models, events=events
            )
            await stack.enter_async_context(keeper)
            _watch(metrics, registry, gate)
            _watch_record(metrics, record)
        predictor = make(observers=observers)
        yield Services(
            predictor=predictor,
            door=door,
            inputs=inputs,
            metrics=metrics,
            record=record,
            pictures=pictures,
            live=live,
            references=References(registry, limits=settings.images),
            keeper=keeper,
            tracing=tracing,
        )


def _events(metrics: Metrics | None, record: Recorder | None) -> tuple[ModelEvents, ...]:
    counted = () if metrics is None else (ModelLog(), ModelMetrics(metrics))
    return counted if record is None else (*counted, _ModelRecord(record))


def _recorder(settings: Settings) -> Recorder | None:
    """The record, not yet begun. Raises SettingsError (see ``check_place``)."""
    if not settings.record.enabled:
        return None
    state = state_folder(settings)
    place = place_of(settings.record.database, state=state)
    check_place(place)
    return Recorder(place, state=state, policy=settings.record)


def _picture_keeper(settings: Settings, record: Recorder) -> PictureKeeper:
    policy = settings.pictures
    place = picture_place(policy, state=state_folder(settings))
    return PictureKeeper(record, place=place, policy=policy, strip=strip)


class _ModelRecord:
    """Tells the record which versions answer."""

    def __init__(self, record: Recorder) -> None:
        self._record = record

    def loaded(self, host: ModelHost, *, seconds: float) -> None:
        """Know the version by what its answers come from."""
        del seconds
        facts = ModelFacts(
            name=host.name,
            version=host.version,
            task=host.task,
            path=host.plan.card.file,
            recipe=json.dumps(expand(host.recipe)),
            labels=host.plan.labels,
        )
        self._record.know([facts])

    def refused(self, name: str, error: TintypeError) -> None:
        """Nothing answers that did not before."""

    def removed(self, host: ModelHost) -> None:
        """What it answered is still to be written."""


def _watch(metrics: Metrics, registry: Registry, gate: ByteGate) -> None:
    watch_models(metrics, registry)
    metrics.watch(PICTURE_BYTES, lambda: [((), gate.held)])
    metrics.watch(PICTURES_WAITING, lambda: [((), gate.waiting())])


@dataclass(frozen=True, slots=True)
class _Telling:
    """Who is told of what becomes of each model at the start."""

    left_out: Callable[[LeftOut], None]
    absent: tuple[LeftOut, ...]
    events: tuple[ModelEvents, ...]


async def _load_all(
    plans: list[ModelPlan], registry: Registry, loader: Loader, telling: _Telling
) -> list[Card]:
    """Load every model into the registry, an earlier version where the best one fails.

    Returns the cards of models on other servers that are not there yet.
    """
    failed: list[LeftOut] = []
    while plans:
        plan = plans.pop(0)  # each holds its graph until its engine is loaded
        card, begun = plan.card, time.monotonic()
        host, errors = await _load_first(loader, plan)
        failed += errors
        if host is not None:
            registry.put(Served(stable=host))
            for event in telling.events:
                event.loaded(host, seconds=time.monotonic() - begun)
        elif not card.may_be_absent and not errors[0].comes_back:
            raise errors[0].error
    for one in failed:
        if not registry.names() and not one.comes_back:
            raise one.error
        telling.left_out(one)
    missing = (*telling.absent, *failed)
    for one in missing:
        registry.lack(
            absence_of_remote(one.card, one.error) if one.comes_back else absence_of(one.card)
        )
    return [one.card for one in missing if one.comes_back]


async def _load_first(loader: Loader, plan: ModelPlan) -> tuple[ModelHost | None, list[LeftOut]]:
    """The host of a plan, or of the best earlier version; and what failed before it."""
    failed: list[LeftOut] = []
    for card in (plan.card, *plan.card.earlier):
        try:
            if card is plan.card:
                return await loader.load(plan), failed
            return await loader.load_card(card), failed
        except (ModelFileError, ServingError) as error:
            failed.append(LeftOut(card=card, error=_named(error, card)))
    return None, failed


def _host(plan: ModelPlan, *, settings: Settings, metrics: Metrics | None) -> ModelHost:
    def count(pictures: int) -> None:
        if metrics is not None:
            metrics.observe(BATCH_PICTURES, pictures, plan.card.name)

    return ModelHost(plan, policy=settings.batching, options=settings.engine, on_batch=count)


async def _door(settings: Settings, stack: AsyncExitStack) -> Door:
    """The door with its keys read. Raises SettingsError."""
    keyring = Keyring(
        KeyStore(state_folder(settings)), session_seconds=settings.access.session_hours * 3600
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


def _watch_record(metrics: Metrics, record: Recorder | None) -> None:
    if record is not None:
        metrics.watch(RECORD_QUEUE, lambda: [((), record.counts().waiting)])
        metrics.watch(RECORD_DROPPED, lambda: [((), record.counts().dropped)])
