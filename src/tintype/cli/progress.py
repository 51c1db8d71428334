"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Told: TypeAlias = Callable[[str], None]
"""One more is done; the words are shown beside the count."""

_EVERY_SECONDS: Final = 5.0


@contextmanager
def progress(what: str, total: int) -> Iterator[Told]:
    """Show how many of ``total`` are done; call what is given once for each."""
    if sys.stderr.isatty():
        with _bar(what, total) as told:
            yield told
    else:
        yield _lines(what, total)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Told]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, words="")
        yield lambda words: bar.update(task, advance=1, words=words)


def _lines(what: str, total: int) -> Told:
    done, last = 0, time.monotonic()

    def told(words: str) -> None:
        nonlocal done, last
        done += 1
        if done == total or time.monotonic() - last >= _EVERY_SECONDS:
            last = time.monotonic()
            typer.echo(f"{what} {done} of {total}, {words}", err=True)

    return told
