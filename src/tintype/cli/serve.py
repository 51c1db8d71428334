"""``tintype serve PATH...``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from tintype.cli import on_ray
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
from tintype.cli.server import serve
from tintype.errors import SettingsError
from tintype.settings import read_with_sources

Host: TypeAlias = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. Default 127.0.0.1.")
]
Port: TypeAlias = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port. Default 8000; 0 takes a free one."),
]
Processes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, help="How many processes share the address and the cores. Default 1."
    ),
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (tintype.toml). Or name it in TINTYPE_CONFIG."),
]
Compat: TypeAlias = Annotated[
    bool, typer.Option("--compat", help="Also answer the routes of the older systems.")
]
State: TypeAlias = Annotated[
    Path | None,
    typer.Option("--state", help="Folder of what lasts. Default: the user's state folder."),
]
On: TypeAlias = Annotated[
    Literal["ray"] | None,
    typer.Option("--on", help="Serve on a Ray cluster: replicas of every model, on many machines."),
]
Address: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address", help="With --on ray: a running cluster. Without it, one is started here."
    ),
]
PrintConfig: TypeAlias = Annotated[
    bool,
    typer.Option("--print-config", help="With --on ray: print what `serve deploy` takes, and end."),
]


def server_flags(host: str | None, port: int | None, state: Path | None) -> dict[str, object]:
    """The flags of a server as the settings they set."""
    return {
        "server.host": host,
        "server.port": port,
        "state.folder": None if state is None else str(state),
    }


def command(  # noqa: PLR0913 - a flag each
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Model files, or folders of models.")
    ],
    *,
    host: Host = None,
    port: Port = None,
    processes: Processes = None,
    config: Config = None,
    state: State = None,
    compat: Compat = False,
    labels: Labels = None,
    recipe: RecipeText = None,
    input: InputName = None,  # noqa: A002 - the flag's name
    output: OutputName = None,
    signature: Signature = None,
    engine: EngineName = None,
    device: Device = None,
    allow_code: AllowCode = False,
    on: On = None,
    address: Address = None,
    print_config: PrintConfig = False,
) -> None:
    """Put model files on the web: a page, an API, docs."""
    if print_config and state is not None:
        state = on_ray.whole(state)
    flags = server_flags(host, port, state) | {
        "server.processes": processes,
        "compat.enabled": compat or None,
        "engine.device": device,
    }
    settings, said = read_with_sources(file=config, flags=flags)
    overrides = Overrides(
        labels=labels,
        recipe=recipe,
        input=input,
        output=output,
        signature=signature,
        engine=engine,
        allow_code=allow_code,
    )
    if on is None and (address is not None or print_config):
        raise SettingsError("--address and --print-config belong to --on ray", hint="--on ray")
    if on is not None and settings.server.processes > 1:
        raise SettingsError(
            f"server.processes is {settings.server.processes}, and Ray makes the processes itself",
            hint="replicas: cluster.replicas_max and cluster.fronts_max",
        )
    if on is None:
        serve(partial(cards_for, tuple(paths), overrides), settings=settings)
    elif print_config:
        said_host = settings.server.host if "server.host" in said else None
        on_ray.print_config(tuple(paths), overrides, settings, host=said_host)
    else:
        cards = cards_for(tuple(paths), overrides)
        on_ray.serve_on_ray(cards, settings, address=address or "")
