"""``tintype evaluate MODEL FOLDER``."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tintype.bulk.picture_file import read_picture
from tintype.cli.evaluate_report import report_page
from tintype.cli.evaluate_words import result_lines, start_lines
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
from tintype.cli.progress import progress
from tintype.cli.report import print_left_out, summary_lines
from tintype.errors import SettingsError
from tintype.evaluation.folder import LabelledFolder, read_labelled_folder
from tintype.evaluation.result import (
    Evaluation,
    Subject,
    evaluation,
    evaluation_body,
    evaluation_csv,
)
from tintype.evaluation.run import Examined, Work, examine
from tintype.models.card import Card
from tintype.models.plan import ModelPlan
from tintype.predict import PredictRequest
from tintype.settings import Settings, read_settings
from tintype.types import Task
from tintype.wiring.bulk import direct, loaded, threads_for
from tintype.wiring.plans import make_plans

_TOP = 5


def command(  # noqa: PLR0913 - a flag each
    model: Annotated[Path, typer.Argument(help="Model file or folder.")],
    folder: Annotated[Path, typer.Argument(help="Folder of pictures: one folder a label.")],
    *,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML page with plots.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A CSV line a picture.")] = False,
    top: Annotated[int, typer.Option("--top", min=1, help="Tell top N, too.")] = _TOP,
    named: Annotated[
        list[str] | None,
        typer.Option("--folder", metavar="FOLDER=LABEL", help="Which label a folder has."),
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out folders that are no label.")
    ] = False,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    device: Device = None,
    allow_code: AllowCode = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
) -> None:
    """Tell how good a model is on a folder of labelled pictures."""
    if as_json and as_csv:
        raise SettingsError("--json and --csv both say what goes to stdout; give one of them")
    if report is not None and not report.parent.is_dir():
        raise SettingsError(f"--report: there is no folder {report.parent}")
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
    if len(cards) != 1:
        raise SettingsError(f"{model} holds {len(cards)} models; one is evaluated at a time")
    read = partial(read_labelled_folder, folder, named=_named(named), skip_unknown=skip_unknown)
    settings = read_settings(file=config, flags={"engine.device": device})
    done = _evaluate(cards, read, settings, top=top)
    if as_json:
        typer.echo(msgspec.json.encode(evaluation_body(done)))
    elif as_csv:
        typer.echo(evaluation_csv(done), nl=False)
    else:
        typer.echo("\n".join(result_lines(done)))
    if report is not None:
        report.write_text(report_page(done, settings), "utf-8")
        typer.echo(f"written: {report}", err=True)
    if done.unread:
        raise typer.Exit(1)


def _named(pairs: list[str] | None) -> dict[str, str]:
    named = {}
    for pair in pairs or ():
        folder, equals, label = pair.partition("=")
        if not (folder and equals and label):
            raise SettingsError(f"--folder {pair!r}: expected FOLDER=LABEL")
        named[folder] = label
    return named


def _evaluate(
    cards: tuple[Card, ...], read: partial[LabelledFolder], settings: Settings, *, top: int
) -> Evaluation:
    plans = asyncio.run(make_plans(cards, left_out=print_left_out, device=settings.engine.device))
    subject = _subject(plans[0], top=top)
    folder = read(labels=subject.labels)
    typer.echo("\n".join([*summary_lines(plans[0]), *start_lines(folder)]), err=True)
    with loaded(plans, settings=settings) as hosts:
        begun = time.monotonic()
        work = Work(
            read=partial(read_picture, limit=settings.uploads.max_body_bytes),
            asked=PredictRequest(image=b"", top=max(subject.tops)),
            threads=threads_for(hosts),
        )
        with progress("evaluated", len(folder.pictures)) as told:
            right = 0

            def done(one: Examined) -> None:
                nonlocal right
                right += one.correct
                told(f"{right} right")

            examined = examine(folder.pictures, direct(hosts, settings=settings), work, done=done)
        seconds = time.monotonic() - begun
    return evaluation(subject, folder, examined, seconds=seconds)


def _subject(plan: ModelPlan, *, top: int) -> Subject:
    """Raises SettingsError for a model that does not classify."""
    if plan.task is not Task.CLASSIFY:
        raise SettingsError(
            f"{plan.card.name} finds boxes; a folder of labels can only judge a classifier"
        )
    return Subject(
        model=plan.card.name,
        version=plan.card.version,
        title=plan.card.title or plan.card.name,
        file=plan.card.file.name,
        engine=plan.engine,
        labels=plan.labels,
        top=top,
    )
