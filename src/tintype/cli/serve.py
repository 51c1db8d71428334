"""``tintype serve PATH...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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
from tintype.cli.server import serve
from tintype.settings import read_settings

Host: TypeAlias = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. Default 127.0.0.1.")
]
Port: TypeAlias = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port. Default 8000; 0 takes a free one."),
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (tintype.toml). Or name it in TINTYPE_CONFIG."),
]
State: TypeAlias = Annotated[
    str | None,
    typer.Option("--state", help="Folder for what must last. Default ~/.local/state/tintype."),
]
Compat: TypeAlias = Annotated[
    bool, typer.Option("--compat", help="Also answer the routes of the older systems.")
]


def command(  # noqa: PLR0913 - a flag each
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Model files, or folders of models.")
    ],
    *,
    host: Host = None,
    port: Port = None,
    config: Config = None,
    state: State = None,
    compat: Compat = False,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    allow_code: AllowCode = False,
) -> None:
    """Put model files on the web: a page, an API, docs."""
    settings = read_settings(
        file=config,
        flags={
            "server.host": host,
            "server.port": port,
            "state.folder": state,
            "compat.enabled": compat or None,
        },
    )
    overrides = Overrides(
        labels=labels,
        recipe=recipe,
        input=input,
        output=output,
        signature=signature,
        engine=engine,
        allow_code=allow_code,
    )
    serve(cards_for(tuple(paths), overrides), settings=settings)
