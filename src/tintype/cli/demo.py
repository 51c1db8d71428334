"""``tintype demo``: the bundled models and pictures."""

from __future__ import annotations

import tempfile
from functools import partial
from importlib import resources
from pathlib import Path

from tintype.cli.serve import Config, Host, Port, State, server_flags
from tintype.cli.server import serve
from tintype.models.library import find_cards
from tintype.settings import read_settings

_PICTURES = frozenset({".jpg", ".png"})


def command(
    host: Host = None, port: Port = None, config: Config = None, state: State = None
) -> None:
    """Serve the bundled models with a page to play with."""
    with (
        resources.as_file(resources.files("tintype.demo")) as folder,
        tempfile.TemporaryDirectory(prefix="tintype-demo-") as forgotten,
    ):
        # What was tried out is not what is served for real: it is forgotten, unless asked for.
        settings = read_settings(
            file=config, flags=server_flags(host, port, state or Path(forgotten))
        )
        serve(
            partial(find_cards, (folder / "models",)),
            settings=settings,
            samples=_pictures(folder / "pictures"),
        )


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if path.suffix in _PICTURES))
