"""A tuning in words, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tintype.cli.evaluate_words import share_words
from tintype.models.plan import ModelPlan
from tintype.models.tuned import PLAIN
from tintype.tuning.measuring import CLIENTS
from tintype.tuning.outcome import Machine, Outcome, refusals
from tintype.tuning.samples import Samples


def start_lines(plan: ModelPlan, samples: Samples, machine: Machine) -> Iterator[str]:
    """What is tuned by, and where."""
    yield f"  machine {machine.processor}; {machine.versions}"
    if plan.precision != PLAIN and plan.tuned is None:
        yield "  note    the file is quantised: what is called f32 here is the file as it is"
    if not samples.judged:
        yield "  samples none: only threads and streams are measured, in f32 (--samples DIR)"
        return
    yield (
        f"  samples {len(samples.judged)} to judge by ({samples.labelled} with a known label), "
        f"{len(samples.calibrated)} others to calibrate on"
    )


def result_lines(outcome: Outcome) -> Iterator[str]:
    """The comparison, the judgements, and what was kept and why."""
    for name, judgement in outcome.judgements.items():
        yield f"{name} agrees with f32  {share_words(judgement.agreement)}"
        if judgement.accuracy.judged:
            yield f"{name} is right         {share_words(judgement.accuracy)}"
            yield f"f32 is right          {share_words(judgement.plain_accuracy)}"
    for name, why in refusals(outcome).items():
        yield f"{name} is not used: {why}"
    speeds = outcome.all_speeds
    width = max(len(candidate.words) for candidate in speeds)
    yield ""
    yield f"{'':{width}}  {f'{CLIENTS} clients':>18}  {'one alone':>18}"
    for candidate, speed in speeds.items():
        many = f"{speed.throughput:.2f} x  {speed.a_second:7.0f}/s"
        alone = f"{speed.alone:.2f} x  {speed.alone_seconds * 1000:6.2f} ms"
        mark = "  kept" if candidate == outcome.kept else ""
        yield f"{candidate.words:{width}}  {many:>18}  {alone:>18}{mark}"
    yield ""
    if outcome.picture_seconds is not None:
        milliseconds = outcome.picture_seconds * 1000
        yield f"beside that, a sample takes {milliseconds:.1f} ms to decode and prepare"
    if outcome.kept == outcome.base:
        yield "nothing else is faster by 5 % or more: it stays as it is"
