"""A model plan in words, for people: what the file is, what would be done and why."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress

import typer

from tintype.engines.engine import CPU
from tintype.imaging.recipe import expand
from tintype.models.card import CARD_NAME, Tuned
from tintype.models.plan import ModelPlan, class_output
from tintype.tuning.candidates import Candidate
from tintype.types import ImageInput, Task
from tintype.wiring.plans import LeftOut

_SHOWN_LABELS = 6


def summary_lines(plan: ModelPlan) -> Iterator[str]:
    """The few lines printed when a model is served."""
    engine = plan.engine if plan.device == CPU else f"{plan.engine} ({plan.device})"
    yield f"{plan.card.name}: {plan.description.format.value}, {_writer(plan)}on {engine}"
    if plan.card.remote is not None:
        yield f"  asks    {plan.card.remote.name!r} at {plan.card.remote.address}"
    yield f"  input   {_input(plan.target)}"
    yield f"  labels  {_labels(plan)}"
    yield from _recipe(plan)
    if plan.tuned is not None:
        yield f"  tuned   {_tuned(plan.tuned)}"
    for warning in plan.warnings:
        yield f"  note    {warning}"


def full_lines(plan: ModelPlan) -> Iterator[str]:
    """Everything ``inspect`` prints: the summary, and the reasons for the rest."""
    yield from summary_lines(plan)
    output = class_output(plan)
    if output is not None:
        what = f"{_numbers(output.classes)}, {output.activation.value}"
        yield f"  output  {output.tensor.name}: {what}"
        if output.reason:
            yield f"          {output.reason}"
    elif plan.task is Task.DETECT:
        yield "  output  boxes with labels"
    else:
        yield "  output  classes by name or number, each with its score"
    yield f"  engine  {plan.engine}: {plan.engine_reason}"
    for note in plan.description.notes:
        yield f"  read    {note}"
    if plan.card.remote is not None:
        yield "  safety  not looked at: another server runs the model"
    elif not plan.description.findings:
        yield "  safety  nothing found: no code in the file"
    for finding in plan.description.findings:
        yield f"  safety  {finding.severity}: {finding.what} ({finding.where})"
    if not plan.recipe_is_guess:
        yield f"  change  {override_line(plan)}"
    yield "  recipe in full"
    for step, value in expand(plan.recipe).items():
        yield f"    {step}: {value}"


def tell(words: str) -> None:
    """Words for the person who started this, if there is one: a full disk must not stop it."""
    with suppress(OSError):
        typer.echo(words, err=True)


def print_left_out(left: LeftOut) -> None:
    """Say on stderr which model is not served, and why."""
    what = "not there yet" if left.comes_back else "left out"
    typer.echo(f"{what}: {left.error.message}", err=True)
    if left.error.hint:
        typer.echo(f"  hint: {left.error.hint}", err=True)


def noting_left_out(
    absent: list[LeftOut], *, say: Callable[[LeftOut], None] = print_left_out
) -> Callable[[LeftOut], None]:
    """Say it, and remember it in ``absent``."""

    def left_out(left: LeftOut) -> None:
        say(left)
        absent.append(left)

    return left_out


def layer_lines(plan: ModelPlan) -> Iterator[str]:
    """The model summary: a layer a line with its output shape and parameters, then the totals."""
    layers = plan.description.layers
    width = max((len(f"{layer.name} ({layer.kind})") for layer in layers), default=0)
    yield f"{'layer (kind)':{width}}  {'output shape':24} {'parameters':>12}"
    for layer in layers:
        shape = "" if layer.shape is None else str(layer.shape)
        yield f"{f'{layer.name} ({layer.kind})':{width}}  {shape:24} {layer.parameters:>12,}"
    total = sum(layer.parameters for layer in layers)
    yield f"total parameters: {total:,}"
    if any(layer.trainable is not None for layer in layers):
        trainable = sum(layer.trainable or 0 for layer in layers)
        yield f"trainable: {trainable:,}, not trainable: {total - trainable:,}"


def _numbers(count: int) -> str:
    return "1 number" if count == 1 else f"{count} numbers"


def _writer(plan: ModelPlan) -> str:
    return f"written by {plan.description.writer}, " if plan.description.writer else ""


def _input(image: ImageInput) -> str:
    size = f"{image.width or 'any'} x {image.height or 'any'}"
    if image.tensor.dtype == "string":
        return f"{image.tensor.name}: encoded pictures"
    colours = {1: "grey", 3: "RGB", 4: "RGBA"}.get(image.channels, f"{image.channels} channels")
    batch = "" if image.batch is None else f", batches of {image.batch}"
    return f"{image.tensor.name}: {size} {colours}, {image.tensor.dtype}, {image.layout}{batch}"


def _labels(plan: ModelPlan) -> str:
    shown = ", ".join(plan.labels[:_SHOWN_LABELS])
    more = len(plan.labels) - _SHOWN_LABELS
    rest = f", and {more} more" if more > 0 else ""
    source = "no file" if plan.labels_source == "none" else plan.labels_source
    return f"{shown}{rest} (from {source})"


def _recipe(plan: ModelPlan) -> Iterator[str]:
    for number, reason in enumerate(plan.recipe_reasons):
        yield f"  {'recipe' if number == 0 else '      '}  {reason}"
    if plan.recipe_is_guess:
        yield f"          to change it: {override_line(plan)}"


def _tuned(tuned: Tuned) -> str:
    way = Candidate(
        precision=tuned.precision, threads=tuned.threads, streams=tuned.streams, batch=tuned.batch
    )
    date = tuned.evidence.get("date")
    return way.words if date is None else f"{way.words}, found {date}"


def override_line(plan: ModelPlan) -> str:
    """The command that serves this model with the next likely recipe, as it can be typed here."""
    folder = plan.card.file.parent
    path = str(folder if (folder / CARD_NAME).is_file() else plan.card.file)
    safe = f"./{path}" if path.startswith("-") else path
    return f"tintype serve {shlex.quote(safe)} {plan.recipe_override}"
