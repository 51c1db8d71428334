"""``tintype tune MODEL``."""

from __future__ import annotations

import asyncio
import importlib.metadata
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tintype import __version__
from tintype.batching.policy import settled
from tintype.bulk.picture_file import read_picture
from tintype.cli.options import (
    AllowCode,
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
from tintype.cli.tune_words import result_lines, start_lines
from tintype.engines.processor import processor
from tintype.errors import SettingsError
from tintype.models.card import Card
from tintype.models.plan import ModelPlan
from tintype.settings import Settings, read_settings
from tintype.tuning.asking import Pictures
from tintype.tuning.candidates import base_of
from tintype.tuning.card_file import (
    Place,
    Written,
    check_writable,
    is_bare,
    place_of,
    write_choice,
)
from tintype.tuning.choice import Aim
from tintype.tuning.outcome import Machine, Outcome, body, evidence
from tintype.tuning.quantise import check_installed, quantise
from tintype.tuning.samples import Samples, read_samples
from tintype.tuning.tune import Bench, Wish, tune
from tintype.wiring.loading import make_host
from tintype.wiring.plans import make_plans


def command(  # noqa: PLR0913 - a flag each
    model: Annotated[Path, typer.Argument(help="Model file or folder.")],
    *,
    samples: Annotated[
        Path | None,
        typer.Option("--samples", metavar="DIR", help="Pictures to judge by; none: f32 stays."),
    ] = None,
    aim: Annotated[Aim, typer.Option("--aim", help="What is made fast.")] = Aim.THROUGHPUT,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="For measuring, in all.")
    ] = 60.0,
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="Whether int8 is tried.")] = True,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the card to write.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    allow_code: AllowCode = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
) -> None:
    """Find the fastest way to run a model here that still gives its answers."""
    if samples is not None and int8:
        check_installed()
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
        raise SettingsError(f"{model} holds {len(cards)} models; one is tuned at a time")
    place = place_of(cards[0], out=out)
    if not dry_run:
        check_writable(place)
    _check_overrides(overrides, cards[0])
    wish = Wish(aim=aim, seconds=seconds, int8=int8)
    settings = read_settings(file=config)
    work = _Work(card=cards[0], place=None if dry_run else place, wish=wish, samples=samples)
    done = asyncio.run(_tune(work, settings))
    if as_json:
        typer.echo(msgspec.json.encode(_body(done)))
    else:
        typer.echo("\n".join(result_lines(done.outcome)))
    _tell_written(done, model)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What to tune; ``place`` None writes nothing."""

    card: Card
    place: Place | None
    wish: Wish
    samples: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    outcome: Outcome
    machine: Machine
    written: Written | None


async def _tune(work: _Work, settings: Settings) -> _Done:
    plans = await make_plans((work.card,), left_out=print_left_out, device=settings.engine.device)
    plan, machine = plans[0], _machine()
    samples = Samples()
    if work.samples is not None:
        samples = read_samples(work.samples, labels=plan.labels)
    typer.echo("\n".join([*summary_lines(plan), *start_lines(plan, samples, machine)]), err=True)
    with tempfile.TemporaryDirectory(prefix="tintype-tune-") as scratch:
        bench = _bench(plan, settings, samples=samples, scratch=Path(scratch))
        outcome = await tune(base_of(settings.engine), work.wish, bench)
        return _Done(
            outcome=outcome, machine=machine, written=_write(work, plan, outcome, machine, bench)
        )


def _bench(plan: ModelPlan, settings: Settings, *, samples: Samples, scratch: Path) -> Bench:
    settings = replace(settings, engine=replace(settings.engine, tuned=True))
    return Bench(
        make=partial(make_host, settings=settings, metrics=None),
        quantise=quantise,
        progress=progress,
        pictures=Pictures(
            plan=plan,
            read=partial(read_picture, limit=settings.uploads.max_body_bytes),
            limits=settings.images,
        ),
        samples=samples,
        folder=scratch,
        processor=processor(),
        most_batch=settled(settings.batching, together=False).max_batch,
    )


def _write(
    work: _Work, plan: ModelPlan, outcome: Outcome, machine: Machine, bench: Bench
) -> Written | None:
    """Nothing is written for a file without a card that is best served as it is."""
    place = work.place
    if place is None or (outcome.kept == outcome.base and not place.is_there):
        return None
    return write_choice(
        place, plan, outcome.kept, graph=bench.graph, evidence=evidence(outcome, machine)
    )


def _check_overrides(overrides: Overrides, card: Card) -> None:
    given = overrides.given()
    if given and not is_bare(card):
        raise SettingsError(
            f"{', '.join(given)} and the card of {card.name!r} may say different things",
            hint="write it into the card; it is tuned for what the card says",
        )


def _machine() -> Machine:
    versions = [f"tintype {__version__}"]
    for package in ("openvino", "nncf"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        processor=processor().words,
        versions=", ".join(versions),
    )


def _body(done: _Done) -> dict[str, object]:
    written = done.written
    return body(done.outcome, done.machine) | {
        "card": None if written is None else str(written.card),
        "graph": None if written is None or written.graph is None else str(written.graph),
    }


def _tell_written(done: _Done, model: Path) -> None:
    if done.written is None:
        typer.echo("nothing is written", err=True)
        return
    typer.echo(f"written: {done.written.card}", err=True)
    if done.written.graph is not None:
        typer.echo(f"written: {done.written.graph}, with its .bin", err=True)
    if not model.is_dir() and model != done.written.card:
        typer.echo(f"serve it as its card says: tintype serve {done.written.card.parent}", err=True)
