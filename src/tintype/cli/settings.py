"""``tintype settings``: what holds, and where it was said."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from tintype.cli.serve import Config
from tintype.settings import all_settings, read_with_sources, shown

_DEFAULT = "default"


def command(
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    config: Config = None,
) -> None:
    """Print every setting with its value and where that comes from. Passwords are covered."""
    settings, sources = read_with_sources(file=config)
    rows = [
        (f"{each.section}.{each.name}", shown(each), each.variable)
        for each in all_settings(settings)
    ]
    if json:
        facts = {
            name: {"value": value, "from": sources.get(name, _DEFAULT), "variable": variable}
            for name, value, variable in rows
        }
        typer.echo(msgspec.json.encode(facts))
        return
    names = max(len(name) for name, _, _ in rows)
    for name, value, variable in rows:
        source = sources.get(name, _DEFAULT)
        where = variable if source == "the environment" else source
        typer.echo(f"{name:{names}}  {_text(value)}  ({where})")


def _text(value: object) -> str:
    """As it would stand in the file (TOML takes JSON's way of writing these)."""
    return msgspec.json.encode(value).decode()
