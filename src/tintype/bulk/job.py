"""A batch from its beginning, or from where it was stopped, to its results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tintype import __version__
from tintype.bulk.items import Item
from tintype.bulk.results import Written, check_output, write_results
from tintype.bulk.rows import Done
from tintype.bulk.sources import Sources
from tintype.bulk.unfinished import Unfinished
from tintype.errors import SettingsError
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.recipe import expand
from tintype.models.plan import ModelPlan
from tintype.predict import PredictRequest
from tintype.record.hashing import content_sha256

Road: TypeAlias = Callable[[Iterator[Item], int], Generator[Done]]
"""Answers a listing in order, from the place in it that it stands at."""

Progress: TypeAlias = Callable[[int, int], AbstractContextManager[Callable[[Done], None]]]
"""Shows how far it is. Told how many items and failures there are already, then of each piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done. ``manifest`` is all that the answers depend on, by a name for people."""

    sources: Sources
    out: Path
    manifest: Mapping[str, object]
    restart: bool = False

    @property
    def folder(self) -> Path:
        """Where the answers are until all are there."""
        return self.out.with_name(f"{self.out.name}.unfinished")

    def check(self) -> None:
        """Raise SettingsError for what is known to go wrong before any picture is asked."""
        check_output(self.out)
        self.sources.check()
        if self.out.exists() and not self.folder.exists() and not self.restart:
            raise SettingsError(
                f"{self.out} is there already", hint="--restart writes it anew; or another --out"
            )


def run(job: Job, road: Road, *, progress: Progress) -> Written:
    """Do the job, or what is left of it. Stopped at any time, it goes on when it is run again.

    Raises SettingsError where what was begun does not fit the job, or the sources hold nothing;
    ServingError, OSError where a model, a store or a disk is away: what is answered is kept.
    """
    with Unfinished(job.folder, manifest=job.manifest, restart=job.restart) as kept:
        items = job.sources.items()
        kept.skip(items)
        with (
            progress(kept.items, kept.failures) as told,
            contextlib.closing(road(items, kept.items)) as answered,
        ):
            for done in answered:
                kept.add(done)
                told(done)
        if not kept.items:
            raise SettingsError(f"{', '.join(job.sources.named)}: there is no picture in it")
        written = write_results(kept.lines(), job.out)
        kept.remove()
    return written


def manifest(
    plans: Sequence[ModelPlan], asked: PredictRequest, sources: Sources, limits: DecodeLimits
) -> dict[str, object]:
    """All that answers depend on, by names for people: models by content, and what is asked."""
    models = {
        f"model {plan.card.name}": {
            "version": plan.card.version,
            "sha256": content_sha256(plan.card.file),
            "engine": plan.engine,
            "recipe": expand(plan.recipe),
            "size": (plan.target.height, plan.target.width),
            "labels": plan.labels,
            "top": plan.top,
            "threshold": plan.threshold,
        }
        for plan in plans
    }
    return {
        "sources": sources.named,
        "--include": sources.include,
        "--exclude": sources.exclude,
        **models,
        "point": asked.points,
        "--top": asked.top,
        "--threshold": asked.threshold,
        "limits of pictures": [limits, sources.max_bytes],
        "version of Tintype": __version__,
    }
