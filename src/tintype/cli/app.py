"""``tintype``: finds the verb, and turns every designed error into two lines and exit code 1."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command

from tintype import __version__
from tintype.errors import TintypeError

VERBS = {
    "serve": "Put model files on the web: a page, an API, docs.",
    "predict": "Ask a model about pictures, without a server.",
    "inspect": "Tell what a model file is, and how it would be served and why.",
    "demo": "Serve the bundled models with a page to play with.",
}
"""Every verb with its one line of help; its code is in the module of the same name."""


class LazyVerbs(TyperGroup):
    """Imports a verb's module only when that verb is called, so that none pays for another."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's command, or None when there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"tintype.cli.{cmd_name}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name=cmd_name, help=VERBS[cmd_name])(module.command)
        command: click.Command = get_command(single)
        return command


app = typer.Typer(
    cls=LazyVerbs,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Serve a trained image model from its file.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if wanted:
        typer.echo(f"tintype {__version__}")
        raise typer.Exit


@app.callback()
def top(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Serve a trained image model from its file."""


def main() -> None:
    """Entry point: 0 fine, 1 a mendable error in words, 2 bad usage, 130 interrupted."""
    try:
        app()
    except TintypeError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # the reader of our output has gone: nothing to tell it
        sys.stderr.close()
        sys.exit(1)
