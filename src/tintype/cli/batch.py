"""``tintype batch SOURCE... --model M --out results.parquet``."""

from __future__ import annotations

import asyncio
import enum
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from tintype.bulk.job import Job, Road, manifest, run
from tintype.bulk.results import Written, errors_path
from tintype.bulk.road import local_road
from tintype.bulk.rows import Asker, Done, recipe_text
from tintype.bulk.sources import Sources, Store
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
from tintype.cli.progress import progress
from tintype.cli.report import print_left_out, summary_lines
from tintype.engines.engine import CPU
from tintype.errors import SettingsError
from tintype.models.plan import ModelPlan
from tintype.predict import PredictRequest
from tintype.settings import Settings, read_settings
from tintype.wiring.bulk import direct, loaded, threads_for
from tintype.wiring.plans import make_plans


class Where(enum.StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


def command(  # noqa: PLR0913 - a flag each
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders, 'patterns', @LIST or -, zip and tar files, s3://BUCKET/PREFIX.",
        ),
    ],
    *,
    models: Annotated[
        list[Path], typer.Option("--model", help="Model file or folder. May be given again.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Results: a .parquet, .csv or .jsonl file.")],
    include: Annotated[
        list[str] | None, typer.Option("--include", help="Only names that fit: '*.jpg'.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="No names that fit.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, and write over what is there.")
    ] = False,
    top: Top = None,
    threshold: Threshold = None,
    x: X = None,
    y: Y = None,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    device: Device = None,
    allow_code: AllowCode = False,
    on: Annotated[
        Where, typer.Option("--on", help="This machine, or a Ray cluster.")
    ] = Where.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="With --on ray: a running cluster. Without it, one is started here."
        ),
    ] = None,
    by_path: Annotated[
        bool,
        typer.Option("--by-path", help="With --on ray: every node reads the files by their paths."),
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
) -> None:
    """Ask models about any number of pictures, and write a table."""
    overrides = Overrides(
        labels=labels,
        recipe=recipe,
        input=input,
        output=output,
        signature=signature,
        engine=engine,
        allow_code=allow_code,
    )
    if on is Where.LOCAL and (address or by_path):
        raise SettingsError("--address and --by-path belong to --on ray", hint="--on ray")
    settings = read_settings(file=config, flags={"engine.device": device})
    asked = PredictRequest(image=b"", points=points(x, y), top=top, threshold=threshold)
    cards = cards_for(tuple(models), overrides)
    plans = asyncio.run(make_plans(cards, left_out=print_left_out, device=settings.engine.device))
    named = _sources(sources, settings, include=include, exclude=exclude)
    job = Job(
        sources=named,
        out=out,
        manifest=manifest(plans, asked, named, settings.images),
        restart=restart,
    )
    job.check()
    for plan in plans:
        typer.echo("\n".join(summary_lines(plan)), err=True)
    if on is Where.RAY:
        _only_cpu(plans)
        cluster = _cluster()
        orders = cluster.Orders(cards=cards, settings=settings, asked=asked)
        with cluster.connected(address or ""):
            written = _run(job, cluster.ray_road(orders, named, by_path=by_path))
    else:
        with loaded(plans, settings=settings) as hosts:
            recipes = {host.name: recipe_text(host.recipe) for host in hosts}
            asker = Asker(direct(hosts, settings=settings), asked, recipes=recipes)
            written = _run(job, local_road(asker, threads=threads_for(hosts)))
    _tell(written, out)


def _only_cpu(plans: tuple[ModelPlan, ...]) -> None:
    for plan in plans:
        if plan.device != CPU:
            raise SettingsError(
                f"{plan.card.name!r} is to run on {plan.device}, and bulk work on Ray runs on cpu",
                hint='leave --on ray out, or device = "cpu" in its card',
            )


def _sources(
    named: list[str], settings: Settings, *, include: list[str] | None, exclude: list[str] | None
) -> Sources:
    limit = settings.uploads.max_body_bytes
    return Sources(
        named=tuple(named),
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        max_bytes=limit,
        store=partial(_open_store, settings.pictures.endpoint, limit),
    )


def _cluster() -> ModuleType:
    try:
        from tintype.cluster import bulk  # noqa: PLC0415 - Ray is large, and few ask for it
    except ImportError as error:
        raise SettingsError(
            f"Ray Data is not installed ({error})", hint="pip install 'tintype[ray]'"
        ) from error
    return bulk


def _open_store(endpoint: str, limit: int) -> Store:
    from tintype.bulk.bucket import open_store  # noqa: PLC0415 - few pictures lie in a bucket

    return open_store(endpoint, max_bytes=limit)


def _run(job: Job, road: Road) -> Written:
    try:
        return run(job, road, progress=partial(_progress, job))
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on from {job.folder}", err=True)
        raise


@contextmanager
def _progress(job: Job, items: int, failures: int) -> Iterator[Callable[[Done], None]]:
    if items:
        typer.echo(f"going on after {items} pictures, from {job.folder}", err=True)
    with progress("pictures", _counted(job.sources), begun_at=items) as told:

        def one(done: Done) -> None:
            nonlocal failures
            failures += done.failures
            told(f"{failures} without an answer" if failures else "", more=done.items)

        yield one


def _counted(sources: Sources) -> Callable[[], int | None]:
    """Count them beside the work: a million names take a while."""
    found: list[int | None] = []

    def count() -> None:
        try:
            found.append(sources.count())
        except OSError:
            return  # whoever reads it will say so

    threading.Thread(target=count, name="counting", daemon=True).start()
    return lambda: found[0] if found else None


def _tell(written: Written, out: Path) -> None:
    typer.echo(f"written: {out}, {written.rows} rows", err=True)
    if written.failures:
        typer.echo(f"without an answer: {written.failures}, told in {errors_path(out)}", err=True)
    sys.stderr.flush()
    if written.failures and not written.rows:
        raise typer.Exit(1)
