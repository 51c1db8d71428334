"""Loaded candidates asked about the samples, picture by picture, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tintype.errors import TintypeError
from tintype.imaging.limits import DecodeLimits
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan
from tintype.models.rows import row_of_picture
from tintype.tuning.judging import Asked, Top, top_of
from tintype.tuning.samples import Sample
from tintype.types import Task, Tensor, Window, name_text

_AT_ONCE: Final = 8

Read = Callable[[Path], bytes]
"""A file's bytes. Raises TintypeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """How a sample becomes a row of a planned model."""

    plan: ModelPlan
    read: Read
    limits: DecodeLimits

    def row(self, file: Path) -> Tensor:
        """Without the batch axis. Raises TintypeError."""
        return self.row_and_window(file)[0]

    def row_and_window(self, file: Path) -> tuple[Tensor, Window]:
        """The row, and the part of the picture that fills it. Raises TintypeError."""
        return row_of_picture(self.plan, self.read(file), limits=self.limits)


def readable(pictures: Pictures, files: Sequence[Path], *, most: int) -> list[Path]:
    """The first ``most`` files that are pictures."""
    found: list[Path] = []
    for file in files:
        if len(found) == most:
            break
        try:
            pictures.row(file)
        except TintypeError:
            continue
        found.append(file)
    return found


async def ask_all(
    samples: Sequence[Sample],
    plain: ModelHost,
    others: Mapping[str, ModelHost],
    pictures: Pictures,
    *,
    done: Callable[[str], None],
) -> dict[str, list[Asked]]:
    """What ``plain`` and each of ``others`` say of every sample; unreadable ones are left out."""
    found: dict[str, list[Asked]] = {name: [] for name in others}
    waiting = iter(samples)

    async def take() -> None:
        for sample in waiting:  # shared: each takes the next that nobody has taken
            try:
                row, window = await asyncio.to_thread(pictures.row_and_window, sample.file)
            except TintypeError:
                done(f"{name_text(sample.file.name)} cannot be read")
                continue
            said = await _top(plain, row, window)
            for name, host in others.items():
                found[name].append(
                    Asked(plain=said, other=await _top(host, row, window), right=sample.right)
                )
            done(name_text(sample.file.name))

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(take())
    return found


async def _top(host: ModelHost, row: Tensor, window: Window) -> Top:
    """The first label, however low its score, or the strongest box above the model's threshold."""
    answer = await host.submit(row, deadline=None)
    threshold = 0.0 if host.task is Task.CLASSIFY else None
    return top_of(host.read_out(answer.outputs, window=window, top=1, threshold=threshold))
