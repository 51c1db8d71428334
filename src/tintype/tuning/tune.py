"""One model tuned: layouts in f32 first, then what else agrees with it in the best layout."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import numpy as np

from tintype.engines.engine import CPU
from tintype.engines.processor import Processor
from tintype.errors import ModelFileError, SettingsError, TintypeError, UnsupportedModel
from tintype.imaging.encoded import png
from tintype.models.golden import check_golden
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan
from tintype.models.rows import row_of_picture
from tintype.models.tuned import PLAIN
from tintype.tuning.asking import Pictures, ask_all, readable
from tintype.tuning.candidates import BF16, INT8, Candidate, layouts, others
from tintype.tuning.choice import Aim, Speed, choose
from tintype.tuning.judging import LEAST_JUDGED, Judgement, judge
from tintype.tuning.measuring import ROUNDS, Clock, Work, measure
from tintype.tuning.outcome import Outcome
from tintype.tuning.samples import LEAST_CALIBRATED, Samples
from tintype.types import Graph, Tensor, name_text

_ROWS: Final = 16
_NOISE_SIDE: Final = 320
_LAYOUTS_SHARE: Final = 0.4
"""Of the time, for the first comparison."""
_TUNED_ENGINE: Final = "openvino"

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[str], None]]]
"""Shows how much of something is done; what is entered is called once for each step."""


class Quantise(Protocol):
    """Writes a graph in int8: ``quantise.quantise``."""

    def __call__(
        self, graph: Graph, files: Sequence[Path], *, row_of: Callable[[Path], Tensor], out: Path
    ) -> None:
        """Calibrate on ``files``, write to ``out``. Raises TintypeError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted. ``seconds`` for measuring, in all; ``int8``: whether to try it."""

    aim: Aim = Aim.THROUGHPUT
    seconds: float = 60.0
    int8: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a tuning works with: ``make`` makes hosts as a server does, in any of the ways tried.

    ``folder`` takes the graph in int8, ``most_batch`` is the largest batch that a server would put
    together.
    """

    make: Callable[[ModelPlan], ModelHost]
    quantise: Quantise
    progress: Progress
    pictures: Pictures
    samples: Samples
    folder: Path
    processor: Processor
    most_batch: int
    clock: Clock = time.perf_counter
    rounds: int = ROUNDS

    def work(self, rows: Sequence[Tensor], *, seconds: float) -> Work:
        """To be done with every candidate of a comparison."""
        return Work(rows=rows, seconds=seconds, clock=self.clock, rounds=self.rounds)

    @property
    def graph(self) -> Path:
        """Where the graph in int8 is written."""
        return self.folder / f"{self.pictures.plan.card.file.stem}.int8.xml"


async def tune(base: Candidate, wish: Wish, bench: Bench) -> Outcome:
    """Measure, judge, choose. Raises ModelFileError, ServingError where f32 itself fails."""
    plan = bench.pictures.plan
    if plan.card.remote is not None:
        raise SettingsError(f"{plan.card.name!r} runs on another server: it is tuned there")
    if plan.device != CPU:
        raise SettingsError(
            f"{plan.card.name!r} runs on {plan.device}, and what is tuned is the processor's work",
            hint='device = "cpu" in its card, or engine.device = "cpu"',
        )
    rows, picture_seconds = _rows(bench)
    on_openvino = plan.engine == _TUNED_ENGINE
    first = layouts(base, cores=bench.processor.cores)
    layout_speeds = await _speeds(
        first,
        base,
        bench,
        bench.work(rows, seconds=wish.seconds * _LAYOUTS_SHARE),
    )
    layout = choose(layout_speeds, order=first, aim=wish.aim)
    left_out, judgements = await _judgements(base, wish, bench)
    precisions = (PLAIN, *(name for name, each in judgements.items() if not each.refused))
    second = others(
        base, layout, precisions=precisions, most_batch=bench.most_batch if on_openvino else 1
    )
    speeds: dict[Candidate, Speed] = {}
    if {*second} - {*first}:
        work = bench.work(rows, seconds=wish.seconds * (1 - _LAYOUTS_SHARE))
        speeds = await _speeds(second, base, bench, work)
        kept = choose(speeds, order=second, aim=wish.aim)
    else:
        kept = layout
    return Outcome(
        aim=wish.aim,
        base=base,
        kept=kept,
        layouts=layout_speeds,
        speeds=speeds,
        judgements=judgements,
        left_out=left_out,
        calibrated=len(bench.samples.calibrated),
        picture_seconds=picture_seconds,
    )


async def _speeds(
    candidates: Sequence[Candidate], base: Candidate, bench: Bench, work: Work
) -> dict[Candidate, Speed]:
    async with AsyncExitStack() as stack:
        hosts = {
            candidate: host
            for candidate in candidates
            if (host := await _entered(candidate, bench, stack)) is not None
        }
        with bench.progress("measured", work.turns * len(hosts)) as done:
            return await measure(hosts, base, work, done=done)


async def _entered(candidate: Candidate, bench: Bench, stack: AsyncExitStack) -> ModelHost | None:
    """A loaded host; None where it cannot be had as wanted. Raises where f32 itself cannot."""
    tuned = candidate.tuned(bench.graph)
    plan = replace(bench.pictures.plan, tuned=tuned, not_as_tuned="")
    try:
        host = await stack.enter_async_context(bench.make(plan))
    except ModelFileError:
        if candidate.precision == PLAIN and candidate.batch == 1:
            raise
        return None
    if host.plan.not_as_tuned:
        return None
    await host.widen()  # as many ask at once
    return host


async def _judgements(
    base: Candidate, wish: Wish, bench: Bench
) -> tuple[dict[str, str], dict[str, Judgement]]:
    """Why precisions are left out, and how the others compare with f32 on the samples."""
    left_out = _not_possible(wish, bench)
    if INT8 not in left_out:
        try:
            await _write_int8(bench)
        except TintypeError as error:
            left_out[INT8] = error.message
    async with AsyncExitStack() as stack:
        hosts: dict[str, ModelHost] = {}
        for name in (BF16, INT8):
            if name in left_out:
                continue
            host = await _entered(replace(base, precision=name), bench, stack)
            if host is None:
                left_out[name] = "it could not be loaded"
                continue
            try:
                await check_golden(host, limits=bench.pictures.limits)
            except TintypeError as error:
                left_out[name] = error.message
            else:
                hosts[name] = host
        if not hosts:
            return left_out, {}
        plain = await _entered(base, bench, stack)
        assert plain is not None  # noqa: S101 - f32 is never run in another precision
        with bench.progress("judged", len(bench.samples.judged)) as done:
            asked = await ask_all(bench.samples.judged, plain, hosts, bench.pictures, done=done)
    return left_out, {name: judge(found) for name, found in asked.items()}


def _not_possible(wish: Wish, bench: Bench) -> dict[str, str]:
    """Precisions that are not even tried, each with its reason."""
    plan, samples = bench.pictures.plan, bench.samples
    if plan.engine != _TUNED_ENGINE:
        why = f"the model runs on {plan.engine}, and only {_TUNED_ENGINE} has other precisions"
    elif plan.description.graph.input.quantisation is not None:
        why = "the file is quantised already"
    elif not samples.judged:
        why = "without samples nothing but f32 is used: --samples DIR"
    elif len(samples.judged) < LEAST_JUDGED:
        why = f"of {len(samples.judged)} samples to judge by, at least {LEAST_JUDGED} are needed"
    else:
        left_out = {}
        if not bench.processor.has_bf16:
            left_out[BF16] = f"the processor ({bench.processor.name}) does not compute in it"
        if not wish.int8:
            left_out[INT8] = "not wanted"
        return left_out
    return dict.fromkeys((BF16, INT8), why)


async def _write_int8(bench: Bench) -> None:
    """Calibrate on the samples that are pictures, and write the graph."""
    pictures, files = bench.pictures, bench.samples.calibrated
    found = await asyncio.to_thread(readable, pictures, files, most=len(files))
    if len(found) < LEAST_CALIBRATED:
        raise UnsupportedModel(
            f"of {len(found)} pictures to calibrate on, at least {LEAST_CALIBRATED} are needed"
        )
    with bench.progress("calibrated", len(found)) as done:

        def row_of(file: Path) -> Tensor:
            row = pictures.row(file)
            done(name_text(file.name))
            return row

        graph = pictures.plan.description.graph
        await asyncio.to_thread(bench.quantise, graph, found, row_of=row_of, out=bench.graph)


def _rows(bench: Bench) -> tuple[list[Tensor], float | None]:
    """Rows to measure with, and the seconds it takes to make one; of noise without samples."""
    pictures = bench.pictures
    found = readable(pictures, [each.file for each in bench.samples.judged], most=_ROWS)
    if not found:
        return _noise(pictures.plan, pictures), None
    rows, seconds = [], []
    for file in found:
        begun = bench.clock()
        rows.append(pictures.row(file))
        seconds.append(bench.clock() - begun)
    return rows, statistics.median(seconds)


def _noise(plan: ModelPlan, pictures: Pictures) -> list[Tensor]:
    rng = np.random.default_rng(0)
    made = (
        rng.integers(0, 256, (_NOISE_SIDE, _NOISE_SIDE, 3), dtype=np.uint8) for _ in range(_ROWS)
    )
    return [row_of_picture(plan, png(each), limits=pictures.limits)[0] for each in made]
