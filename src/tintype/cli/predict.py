"""``tintype predict MODEL IMAGE...``: the server's own answers, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace

from tintype.bulk.picture_file import read_picture
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
    Threshold,
    Top,
    X,
    Y,
    cards_for,
    points,
)
from tintype.cli.report import noting_left_out, print_left_out, summary_lines
from tintype.errors import TintypeError
from tintype.models.card import Card
from tintype.predict import Predictor, PredictRequest
from tintype.settings import Settings, read_settings
from tintype.types import Prediction, Result, name_text
from tintype.web.schemas import prediction_body
from tintype.wiring.plans import LeftOut, make_plans
from tintype.wiring.running import running


def command(  # noqa: PLR0913 - a flag each
    model: Annotated[Path, typer.Argument(help="Model file or folder.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    *,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    device: Device = None,
    allow_code: AllowCode = False,
    top: Top = None,
    threshold: Threshold = None,
    x: X = None,
    y: Y = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a picture.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
) -> None:
    """Ask a model about pictures, without a server."""
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
    asked = PredictRequest(image=b"", points=points(x, y), top=top, threshold=threshold)
    settings = read_settings(file=config, flags={"engine.device": device})
    failed = asyncio.run(_predict_all(cards, images, asked, settings, as_json=as_json))
    if failed:
        raise typer.Exit(1)


async def _predict_all(
    cards: tuple[Card, ...],
    images: list[Path],
    asked: PredictRequest,
    settings: Settings,
    *,
    as_json: bool,
) -> int:
    """Answer every picture; one that fails stops no other. Returns how many failed."""
    absent: list[LeftOut] = []
    plans = await make_plans(cards, left_out=noting_left_out(absent), device=settings.engine.device)
    if not as_json:
        for plan in plans:
            typer.echo("\n".join(summary_lines(plan)), err=True)
    failed = 0
    async with running(
        plans, settings=settings, left_out=print_left_out, absent=tuple(absent)
    ) as services:
        for image in images:
            try:
                prediction = await _predict_one(services.predictor, image, asked, settings)
            except TintypeError as error:
                failed += 1
                _print_failure(image, error, as_json=as_json)
            else:
                typer.echo(_json(image, prediction) if as_json else _text(image, prediction))
    return failed


async def _predict_one(
    predictor: Predictor, image: Path, asked: PredictRequest, settings: Settings
) -> Prediction:
    data = await asyncio.to_thread(read_picture, image, limit=settings.uploads.max_body_bytes)
    return await predictor.predict(replace(asked, image=data))


def _print_failure(image: Path, error: TintypeError, *, as_json: bool) -> None:
    if as_json:
        problem = {"type": error.type, "detail": error.message, "hint": error.hint}
        typer.echo(msgspec.json.encode({"file": name_text(str(image)), "error": problem}))
        return
    typer.echo(f"error: {image}: {error.message}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)


def _json(image: Path, prediction: Prediction) -> bytes:
    return msgspec.json.encode({"file": name_text(str(image)), **prediction_body(prediction)})


def _text(image: Path, prediction: Prediction) -> str:
    lines = [name_text(str(image))]
    for result in prediction.results:
        lines += [f"  {line}" for line in _result_lines(result)]
    return "\n".join(lines)


def _result_lines(result: Result) -> list[str]:
    if result.error is not None:
        told = ", ".join(each.label for each in result.labels or ())
        instead = [f"{result.model}: told in its place: {told}"] if result.fallback else []
        return [f"{result.model}: error: {result.error.detail}", *instead]
    if result.boxes is not None:
        return [
            f"{box.score:6.3f}  {box.label}  "
            f"x {box.x1:.0f}..{box.x2:.0f}  y {box.y1:.0f}..{box.y2:.0f}"
            for box in result.boxes
        ] or ["nothing found above the threshold"]
    return [f"{one.score:6.3f}  {one.label}" for one in result.labels or ()]
