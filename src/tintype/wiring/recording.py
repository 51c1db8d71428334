"""The record and the keeper of pictures, out of the settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack

from tintype.errors import TintypeError
from tintype.imaging.recipe import expand
from tintype.imaging.strip import strip
from tintype.metrics import (
    ACCURACY,
    FEEDBACK,
    PICTURES_DROPPED,
    RECORD_DROPPED,
    RECORD_QUEUE,
    Metrics,
    Sample,
)
from tintype.models.hosted import Hosted
from tintype.models.registry import Registry
from tintype.record.latest import LatestHits, Version
from tintype.record.outcomes import Hits
from tintype.record.picture_place import picture_place
from tintype.record.pictures import PictureKeeper
from tintype.record.place import check_place, place_of
from tintype.record.recorder import Recorder
from tintype.record.values import ModelFacts
from tintype.settings import Settings, state_folder
from tintype.shadow import Comparison, Outcome


def make_recorder(settings: Settings) -> Recorder | None:
    """The record, not yet begun. Raises SettingsError (see ``check_place``)."""
    if not settings.record.enabled:
        return None
    state = state_folder(settings)
    place = place_of(settings.record.database, state=state)
    check_place(place)
    return Recorder(place, state=state, policy=settings.record)


def make_picture_keeper(settings: Settings, record: Recorder) -> PictureKeeper:
    """What keeps pictures where the settings ask for it, not yet begun. Raises SettingsError."""
    policy = settings.pictures
    place = picture_place(policy, state=state_folder(settings))
    return PictureKeeper(record, place=place, policy=policy, strip=strip)


class ModelRecord:
    """Tells the record which versions answer."""

    def __init__(self, record: Recorder) -> None:
        self._record = record

    def loaded(self, host: Hosted, *, seconds: float) -> None:
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

    def removed(self, host: Hosted) -> None:
        """What it answered is still to be written."""


class ShadowRecord:
    """A Listener of the shadow: what a canary says otherwise is recorded."""

    def __init__(self, record: Recorder) -> None:
        self._record = record

    def compared(self, comparison: Comparison) -> None:
        """Record it, where the versions differ."""
        if comparison.outcome is Outcome.DIFFERS and comparison.canary is not None:
            self._record.differs(comparison.prediction_id, comparison.position, comparison.canary)


async def watch_record(
    metrics: Metrics,
    record: Recorder | None,
    pictures: PictureKeeper | None,
    *,
    registry: Registry,
    stack: AsyncExitStack,
) -> None:
    """Have told at each scrape: the record's queue, what people said, and what is lost.

    The stack must leave the record later.
    """

    def served() -> list[Version]:
        return [(host.name, host.version) for each in registry.all() for host in each.hosts()]

    if record is not None:
        hits = await stack.enter_async_context(LatestHits(record, served=served))
        metrics.watch(RECORD_QUEUE, lambda: [((), record.counts().waiting)])
        metrics.watch(RECORD_DROPPED, lambda: [((), record.counts().dropped)])
        metrics.watch(FEEDBACK, lambda: _verdicts(hits.look()))
        metrics.watch(ACCURACY, lambda: _shares(hits.look()))
    if pictures is not None and pictures.keeps:
        metrics.watch(PICTURES_DROPPED, lambda: [((), pictures.dropped)])


def _verdicts(hits: Mapping[Version, Hits]) -> Iterator[Sample]:
    for version, each in hits.items():
        yield (*version, "right"), each.right
        yield (*version, "wrong"), each.judged - each.right


def _shares(hits: Mapping[Version, Hits]) -> Iterator[Sample]:
    for version, each in hits.items():
        if each.judged:
            yield version, each.right / each.judged
