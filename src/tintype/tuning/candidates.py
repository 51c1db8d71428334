"""What is tried: precisions, threads, streams, batch sizes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tintype.engines.engine import EngineOptions
from tintype.models.card import Tuned
from tintype.models.tuned import PLAIN

BF16: Final = "bf16"
INT8: Final = "int8"

_BATCHES: Final = (4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to run a model; the numbers are those of ``EngineOptions``."""

    precision: str = PLAIN
    threads: int = 0
    streams: int = 1
    batch: int = 1

    @property
    def words(self) -> str:
        """For people: ``int8, 2 streams on all cores, batches of 4``."""
        threads = {0: "all cores", 1: "1 thread"}.get(self.threads, f"{self.threads} threads")
        streams = {0: "the engine's own streams", 1: "1 stream"}.get(
            self.streams, f"{self.streams} streams"
        )
        batch = "" if self.batch == 1 else f", batches of {self.batch}"
        return f"{self.precision}, {streams} on {threads}{batch}"

    def tuned(self, graph: Path | None) -> Tuned:
        """The same as a card says it; ``graph`` is the one in int8."""
        return Tuned(
            precision=self.precision,
            threads=self.threads,
            streams=self.streams,
            batch=self.batch,
            graph=graph if self.precision == INT8 else None,
        )


def base_of(options: EngineOptions) -> Candidate:
    """How the model runs without a word in its card: what all others are compared with."""
    return Candidate(threads=options.threads, streams=options.streams, batch=options.batch)


def layouts(base: Candidate, *, cores: int) -> tuple[Candidate, ...]:
    """``base``, then other threads and streams worth a try on so many cores, the simplest first.

    Streams share all cores: one, two, half as many as cores, as many. One stream on fewer cores
    may win with a small graph, whose parts are too small to be shared out.
    """
    shared = sorted({1, 2, cores // 2, cores} & {*range(1, cores + 1)})
    fewer = sorted({1, cores // 2} & {*range(1, cores)})
    made = [replace(base, threads=0, streams=streams) for streams in shared]
    made += [replace(base, threads=threads, streams=1) for threads in fewer]
    return tuple(dict.fromkeys((base, *made)))


def others(
    base: Candidate, layout: Candidate, *, precisions: tuple[str, ...], most_batch: int
) -> tuple[Candidate, ...]:
    """``base``, then the best layout in every precision, alone and in batches, simplest first."""
    made: list[Candidate] = [base]
    for precision in precisions:
        made += _in_batches(replace(layout, precision=precision), most_batch)
    return tuple(dict.fromkeys(made))


def _in_batches(candidate: Candidate, most: int) -> Iterator[Candidate]:
    yield candidate
    for size in _BATCHES:
        if size <= most:  # streams that the engine chooses are for single pictures
            yield replace(candidate, batch=size, streams=candidate.streams or 1)
