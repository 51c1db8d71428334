"""``tintype serve --on ray``: the same models on a Ray cluster, or the files that deploy them."""

from __future__ import annotations

from pathlib import Path

import typer

from tintype.cli.options import Overrides
from tintype.cli.server import bind
from tintype.errors import SettingsError
from tintype.models.card import Card
from tintype.settings import Settings


def serve_on_ray(cards: tuple[Card, ...], settings: Settings, *, address: str) -> None:
    """Serve until a signal; ``address`` of a running cluster, empty for one of its own.

    Raises SettingsError where Ray is not installed, or the address cannot be listened on.
    """
    try:
        from tintype.cluster import start  # noqa: PLC0415 - Ray is large, and few ask for it
    except ImportError as error:
        raise _missing(error) from error
    if not address:  # Ray would tell it after many seconds, in words of its own
        bind(settings.server).close()
    start.serve_on_ray(
        cards,
        settings,
        start.Cluster(address=address),
        tell=lambda words: typer.echo(words, err=True),
    )


def print_config(
    paths: tuple[Path, ...], overrides: Overrides, settings: Settings, *, host: str | None
) -> None:
    """Write to stdout what ``serve deploy`` takes. Raises SettingsError for flags of one model.

    ``host``: where to listen, None where nobody said it.
    """
    given = overrides.given()
    if given:
        raise SettingsError(
            f"{', '.join(given)} cannot stand in a config of a cluster",
            hint="write it into a model.toml beside the model",
        )
    from tintype.cluster.config import EVERYWHERE, serve_config  # noqa: PLC0415 - see above

    models = tuple(str(whole(path)) for path in paths)
    typer.echo(serve_config(models, settings, host=host or EVERYWHERE), nl=False)


def whole(path: Path) -> Path:
    """The path from the root on, without ``..``; links behind the last of these stay links."""
    parts = path.absolute().parts
    up = len(parts) - parts[::-1].index("..") if ".." in parts else 0
    return Path(*parts[:up]).resolve().joinpath(*parts[up:]) if up else Path(*parts)


def _missing(error: ImportError) -> SettingsError:
    return SettingsError(f"Ray is not installed ({error})", hint="pip install 'tintype[ray]'")
