"""``tintype``: finds the verb, and turns every designed error into two lines and exit code 1."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from typing import Annotated

import typer

from tintype import __version__
from tintype.errors import TintypeError

VERBS = {
    "serve": "Put model files on the web: a page, an API, docs.",
    "predict": "Ask a model about pictures, without a server.",
    "inspect": "Tell what a model file is, and how it would be served and why.",
    "convert": "Write a model as one ONNX file, with its recipe and labels inside.",
    "keys": "Make, list and revoke the API keys of a server.",
    "settings": "Print every setting: what holds, and where it was said.",
    "evaluate": "Tell how good a model is on a folder of labelled pictures.",
    "tune": "Find the fastest way to run a model here that still gives its answers.",
    "batch": "Ask models about any number of pictures, and write a table.",
    "export": "Write the pictures whose right label was told, for retraining.",
    "demo": "Serve the bundled models with a page to play with.",
}
"""Every verb with its one line of help; its code is in the module of the same name."""


def build_app(*verbs: str) -> typer.Typer:
    """The command line with the code of ``verbs``; the others are there by name and help only.

    A verb's imports are most of its start time, so ``main`` asks for the one that is called.
    """
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_top)
    for verb, words in VERBS.items():
        code = importlib.import_module(f"tintype.cli.{verb}").command if verb in verbs else _absent
        if isinstance(code, typer.Typer):
            app.add_typer(code, name=verb, help=words)
        else:
            app.command(name=verb, help=words)(code)
    return app


def main() -> None:
    """Entry point: 0 fine, 1 a mendable error in words, 2 bad usage, 130 interrupted."""
    _open_standard_files()
    called = [word for word in sys.argv[1:2] if word in VERBS]
    try:
        gc.disable()  # imports make much and leave no garbage: no collection has to walk it,
        app = build_app(*called)
        gc.freeze()  # nor later ones
        gc.enable()
        app()
    except TintypeError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        sys.exit(1)
    except OSError as error:  # a file of the person's, or where the words go
        with contextlib.suppress(OSError):
            typer.echo(f"error: {error}", err=True)
        _let_go_of_stdout()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _open_standard_files() -> None:
    """Give closed standard files to the null device.

    A supervisor may close them; the next file or socket that is opened would take their numbers,
    and what a library prints would go into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - a number, open as long as the process


def _let_go_of_stdout() -> None:
    """Send what is still to be written nowhere: Python would try again as it leaves, and complain.

    See the note on SIGPIPE in Python's ``signal`` documentation.
    """
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _absent() -> None:
    """Stands for a verb that was not called."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if wanted:
        typer.echo(f"tintype {__version__}")
        raise typer.Exit


def _top(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Serve a trained image model from its file."""
