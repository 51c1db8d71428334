"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

_EVERY_SECONDS: Final = 5.0


class Told(Protocol):
    """Is told that ``more`` are done; the words are shown beside the count."""

    def __call__(self, words: str, *, more: int = 1) -> None:
        """Show it."""
        ...


@contextmanager
def progress(
    what: str, total: int | Callable[[], int | None], *, begun_at: int = 0
) -> Iterator[Told]:
    """Show how many of ``total`` are done, how fast, and how long it will take.

    ``total`` may be asked for again and again while nobody knows it. ``begun_at`` were done
    before, and tell nothing of the speed.
    """
    find = total if callable(total) else lambda: total
    if sys.stderr.isatty():
        with _bar(what, find, begun_at) as told:
            yield told
    else:
        yield _lines(what, find, begun_at)


@contextmanager
def _bar(what: str, find: Callable[[], int | None], begun_at: int) -> Iterator[Told]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=find(), completed=begun_at, words="", rate="")
        done = 0

        def told(words: str, *, more: int = 1) -> None:
            nonlocal done
            done += more
            rate = f"{_rate(done, begun)}/s"
            bar.update(task, advance=more, total=find(), words=words, rate=rate)

        yield told


def _lines(what: str, find: Callable[[], int | None], begun_at: int) -> Told:
    done, begun = 0, time.monotonic()
    last = begun

    def told(words: str, *, more: int = 1) -> None:
        nonlocal done, last
        done += more
        total, now = find(), time.monotonic()
        if begun_at + done != total and now - last < _EVERY_SECONDS:
            return
        last = now
        of = "" if total is None else f" of {total}"
        parts = [f"{what} {begun_at + done}{of}", words, f"{_rate(done, begun)} a second"]
        if total is not None and begun_at + done < total:
            left = (total - begun_at - done) * (now - begun) / done
            parts.append(f"{_clock(left)} left")
        typer.echo(", ".join(part for part in parts if part), err=True)

    return told


def _rate(done: int, begun: float) -> str:
    rate = done / max(1e-9, time.monotonic() - begun)
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
