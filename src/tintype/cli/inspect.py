"""``tintype inspect MODEL``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tintype.cli.options import (
    AllowCode,
    Device,
    EngineName,
    InputName,
    Labels,
    OutputName,
    Overrides,
    RecipeText,
    Signature,
    cards_for,
)
from tintype.cli.report import full_lines, layer_lines, print_left_out
from tintype.imaging.recipe import expand
from tintype.models.card import Tuned
from tintype.models.plan import ModelPlan
from tintype.settings import read_settings
from tintype.types import name_text
from tintype.wiring.plans import make_plans


def command(  # noqa: PLR0913 - a flag each
    model: Annotated[Path, typer.Argument(help="Model file or folder.")],
    *,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    device: Device = None,
    allow_code: AllowCode = False,
    ops: Annotated[bool, typer.Option("--ops", help="Name every operation.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Print the model summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what a model file is, and how it would be served and why."""
    overrides = Overrides(
        labels=labels,
        recipe=recipe,
        input=input,
        output=output,
        signature=signature,
        engine=engine,
        allow_code=allow_code,
    )
    cards = cards_for((model,), overrides)
    settings = read_settings(flags={"engine.device": device})
    plans = make_plans(cards, left_out=print_left_out, device=settings.engine.device)
    for plan in asyncio.run(plans):
        if as_json:
            typer.echo(msgspec.json.encode(_as_json(plan, ops=ops)))
            continue
        lines = [*full_lines(plan)]
        lines += layer_lines(plan) if layers else ()
        lines += plan.description.operations if ops else ()
        typer.echo("\n".join(lines))


def _as_json(plan: ModelPlan, *, ops: bool) -> dict[str, object]:
    description = plan.description
    facts: dict[str, object] = {
        "name": plan.card.name,
        "file": name_text(plan.card.file.name),
        "format": description.format,
        "writer": description.writer,
        "task": plan.task,
        "input": plan.target,
        "output": description.output,
        "labels": plan.labels,
        "labels_source": plan.labels_source,
        "recipe": expand(plan.recipe),
        "recipe_is_guess": plan.recipe_is_guess,
        "recipe_reasons": plan.recipe_reasons,
        "recipe_override": plan.recipe_override,
        "engine": plan.engine,
        "engine_reason": plan.engine_reason,
        "device": plan.device,
        "precision": plan.precision,
        "tuned": None if plan.tuned is None else _tuned(plan.tuned),
        "findings": description.findings,
        "notes": description.notes,
        "warnings": plan.warnings,
        "layers": description.layers,
    }
    return {**facts, "operations": description.operations} if ops else facts


def _tuned(tuned: Tuned) -> dict[str, object]:
    """What was tuned, its graph by name."""
    return {
        "threads": tuned.threads,
        "streams": tuned.streams,
        "batch": tuned.batch,
        "graph": None if tuned.graph is None else name_text(tuned.graph.name),
        "evidence": tuned.evidence,
    }
