"""``tintype demo``: the bundled models and pictures."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tintype.cli.serve import Config, Host, Port, State
from tintype.cli.server import serve
from tintype.models.library import find_cards
from tintype.settings import read_settings

_PICTURES = frozenset({".jpg", ".png"})


def command(
    host: Host = None, port: Port = None, config: Config = None, state: State = None
) -> None:
    """Serve the bundled models with a page to play with."""
    settings = read_settings(
        file=config, flags={"server.host": host, "server.port": port, "state.folder": state}
    )
    with resources.as_file(resources.files("tintype.demo")) as folder:
        serve(
            find_cards((folder / "models",)),
            settings=settings,
            samples=_pictures(folder / "pictures"),
        )


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if path.suffix in _PICTURES))
