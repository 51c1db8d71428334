"""``tintype convert MODEL OUT.onnx``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tintype.cli.options import (
    InputName,
    Labels,
    OutputName,
    Overrides,
    RecipeText,
    Signature,
    cards_for,
)
from tintype.cli.report import summary_lines
from tintype.errors import SettingsError
from tintype.models.convert import check_free, convert
from tintype.models.plan import plan_model

_MIB = 1 << 20


def command(  # noqa: PLR0913 - a flag each
    model: Annotated[Path, typer.Argument(help="Model file or folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The ONNX file to write.")],
    *,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file.")] = False,
) -> None:
    """Write a model as one ONNX file, with its recipe and labels inside."""
    check_free(out, force=force)
    overrides = Overrides(
        labels=labels, recipe=recipe, input=input, output=output, signature=signature
    )
    cards = cards_for((model,), overrides)
    if len(cards) != 1:
        raise SettingsError(f"{model} holds {len(cards)} models; one is converted at a time")
    plan = plan_model(cards[0])
    typer.echo("\n".join(summary_lines(plan)), err=True)
    written = convert(plan, out, force=force)
    for remark in written.remarks:
        typer.echo(f"  note    {remark}", err=True)
    typer.echo(f"written: {written.path} ({written.size / _MIB:.1f} MiB)", err=True)
