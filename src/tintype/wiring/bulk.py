"""Models loaded for work in bulk: as many streams as processors, no server around them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tintype.batching.room import Room
from tintype.cores import usable_cores
from tintype.engines.engine import CPU, EngineOptions
from tintype.models.host import ModelHost
from tintype.models.loading import Loader
from tintype.models.plan import ModelPlan
from tintype.models.registry import Registry
from tintype.predict import Direct
from tintype.settings import Settings
from tintype.wiring.loading import Telling, load_all, make_host
from tintype.wiring.plans import LeftOut


@contextmanager
def loaded(plans: tuple[ModelPlan, ...], *, settings: Settings) -> Iterator[tuple[ModelHost, ...]]:
    """Every model loaded and warm, the stable version of each; closed on the way out.

    Their engines are laid out for throughput. None may be absent, and no earlier version stands in:
    rows would be missing, or be another's. Raises ModelFileError, SettingsError, ServingError.
    """

    def wide(plan: ModelPlan) -> ModelHost:
        if plan.device != CPU:
            return make_host(plan, settings=settings, metrics=None, company=True)
        engine = throughput(settings.engine)
        return make_host(plan, settings=replace(settings, engine=engine), metrics=None)

    loader = Loader(wide, limits=settings.images, device=settings.engine.device)
    # The loop turns for loading and closing alone: whoever asks meanwhile may block the thread.
    with asyncio.Runner() as runner:
        registry = runner.run(_load(plans, loader))
        try:
            hosts = (served.stable for served in registry.all())
            yield tuple(host for host in hosts if isinstance(host, ModelHost))
        finally:
            runner.run(registry.__aexit__(None, None, None))


def direct(hosts: tuple[ModelHost, ...], *, settings: Settings) -> Direct:
    """What asks these hosts, within the limits set."""
    return Direct(hosts, limits=settings.images, room=Room(settings.memory.picture_bytes))


def throughput(options: EngineOptions) -> EngineOptions:
    """A stream for each thread of the engine, unless streams were set."""
    threads = options.threads or usable_cores()
    return replace(options, threads=threads, streams=options.streams or threads, nice=0)


def threads_for(hosts: tuple[ModelHost, ...]) -> int:
    """How many threads are to ask: enough for every processor and every stream, here or far away.

    One more stands ready for those that wait: for a stream, for memory, for Python's own lock. With
    two, each would wait for that lock so much the longer.
    """
    return max(usable_cores(), *(host.streams for host in hosts)) + 1


async def _load(plans: tuple[ModelPlan, ...], loader: Loader) -> Registry:
    registry = Registry()
    try:
        await load_all([*plans], registry, loader, Telling(_refuse, (), ()))
    except BaseException:
        await registry.__aexit__(None, None, None)
        raise
    return registry


def _refuse(left: LeftOut) -> None:
    raise left.error
