"""``tintype export FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tintype.cli.progress import progress
from tintype.cli.serve import Config, State
from tintype.errors import SettingsError
from tintype.record.picture_place import picture_place
from tintype.record.place import place_of
from tintype.settings import read_settings, state_folder


def command(
    folder: Annotated[Path, typer.Argument(help="The folder to write; new or empty.")],
    *,
    model: Annotated[
        str | None, typer.Option("--model", help="Which model, if several were judged.")
    ] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="Only what the model got wrong.")] = False,
    config: Config = None,
    state: State = None,
) -> None:
    """Write the pictures whose right label was told, a folder a label, for retraining."""
    # The database's library is slow to import: only what uses it waits for it.
    from tintype.record.database import reading  # noqa: PLC0415 - see above
    from tintype.record.export import labelled, write_export  # noqa: PLC0415 - see above
    from tintype.record.opening import open_database  # noqa: PLC0415 - see above

    flags = {"state.folder": None if state is None else str(state)}
    settings = read_settings(file=config, flags=flags)
    lasting = state_folder(settings)
    place = place_of(settings.record.database, state=lasting)
    if isinstance(place, Path) and not place.is_file():
        raise SettingsError(
            f"there is no record at {place}", hint="where the server keeps it: --state or --config"
        )
    engine = open_database(place)
    try:
        with reading(engine) as connection:
            found = labelled(connection, model=model, only_wrong=wrong)
    finally:
        engine.dispose()
    if not found:
        raise SettingsError("of no recorded picture was the right label told")
    pictures = picture_place(settings.pictures, state=lasting)
    with progress("exported", len(found)) as told:
        done = write_export(found, folder, place=pictures, told=told)
    typer.echo(f"written: {done.pictures} pictures and {folder / 'labels.csv'}", err=True)
    if done.missing:
        typer.echo(
            f"note: {done.missing} more were judged, and their pictures are not kept "
            "(the setting pictures.keep)",
            err=True,
        )
