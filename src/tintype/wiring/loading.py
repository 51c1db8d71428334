"""Plans to loaded models; an earlier version where the best one cannot be loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tintype.errors import ModelFileError, ServingError
from tintype.metrics import BATCH_PICTURES, Metrics
from tintype.models.absent import absence_of, absence_of_remote
from tintype.models.card import Card
from tintype.models.host import ModelHost
from tintype.models.hosted import Hosted
from tintype.models.keeper import ModelEvents
from tintype.models.loading import Loader
from tintype.models.plan import ModelPlan
from tintype.models.registry import Registry, Served
from tintype.settings import Settings
from tintype.wiring.plans import LeftOut, named


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told of what becomes of each model at the start."""

    left_out: Callable[[LeftOut], None]
    absent: tuple[LeftOut, ...]
    events: tuple[ModelEvents, ...]


async def load_all(
    plans: list[ModelPlan], registry: Registry, loader: Loader, telling: Telling
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


async def load_canaries(
    cards: Iterable[Card], registry: Registry, loader: Loader, telling: Telling
) -> None:
    """Load the canary of each model that has one and is there.

    A keeper does that where there is one. One that fails is told, and the stable version answers.
    """
    for card in cards:
        served = registry.served(card.name)
        if card.canary is None or served is None:
            continue
        begun, rules = time.monotonic(), card.versions
        try:
            host = await loader.load_card(card.canary)
        except (ModelFileError, ServingError) as error:
            for event in telling.events:
                event.refused(card.name, error)
            continue
        registry.put(replace(served, canary=host, share=rules.share, shadow=rules.shadow))
        for event in telling.events:
            event.loaded(host, seconds=time.monotonic() - begun)


async def _load_first(loader: Loader, plan: ModelPlan) -> tuple[Hosted | None, list[LeftOut]]:
    """The host of a plan, or of the best earlier version; and what failed before it."""
    failed: list[LeftOut] = []
    for card in (plan.card, *plan.card.earlier):
        try:
            if card is plan.card:
                return await loader.load(plan), failed
            return await loader.load_card(card), failed
        except (ModelFileError, ServingError) as error:
            failed.append(LeftOut(card=card, error=named(error, card)))
    return None, failed


def make_host(
    plan: ModelPlan, *, settings: Settings, metrics: Metrics | None, company: bool = False
) -> ModelHost:
    """The host of a plan, not yet loaded; its batches are counted.

    ``company``: many may ask at once.
    """
    name = plan.card.name  # the plan itself holds the graph, which is let go once it is loaded

    def count(pictures: int) -> None:
        if metrics is not None:
            metrics.observe(BATCH_PICTURES, pictures, name)

    return ModelHost(
        plan,
        policy=settings.batching,
        options=settings.engine,
        on_batch=count,
        expects_company=company,
    )
