"""``tintype keys add|list|revoke``."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from tintype.access.keys import Key, Scope, check_name, digest_of, id_of, new_text
from tintype.access.store import KeyStore
from tintype.cli.serve import Config, State, server_flags
from tintype.errors import SettingsError
from tintype.settings import read_settings, state_folder

_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}

Scopes: TypeAlias = Annotated[
    list[Scope] | None,
    typer.Option("--scope", help="What it may do; repeat for several. Default predict, feedback."),
]
PerMinute: TypeAlias = Annotated[
    int, typer.Option("--per-minute", min=0, help="Most requests a minute; 0 for no limit.")
]
PerDay: TypeAlias = Annotated[
    int, typer.Option("--per-day", min=0, help="Most requests a day (UTC); 0 for no limit.")
]
Expires: TypeAlias = Annotated[
    str | None, typer.Option("--expires", help="How long it holds: 12h, 30d, 1y. Default for ever.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object a key.")]
Name: TypeAlias = Annotated[str, typer.Argument(help="The key's name.")]

command = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@command.command()
def add(  # noqa: PLR0913 - a flag each
    name: Name,
    *,
    scope: Scopes = None,
    per_minute: PerMinute = 0,
    per_day: PerDay = 0,
    expires: Expires = None,
    state: State = None,
    config: Config = None,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    text, now = new_text(), time.time()
    store = _store(state, config)
    store.add(
        Key(
            id=id_of(text.encode()) or "",
            name=check_name(name),
            digest=digest_of(text.encode()),
            scopes=frozenset(scope or (Scope.PREDICT, Scope.FEEDBACK)),
            per_minute=per_minute,
            per_day=per_day,
            created=now,
            expires=None if expires is None else now + _seconds(expires),
        )
    )
    typer.echo(f"key {name!r}, kept in {store.path}; it is shown this once:", err=True)
    typer.echo(text)


@command.command(name="list")
def list_keys(*, json: Json = False, state: State = None, config: Config = None) -> None:
    """List every key: what it may do, its limits, when it was last used."""
    store, now = _store(state, config), time.time()
    used = store.used(datetime.now(UTC).strftime("%Y-%m-%d"))
    keys = store.all_keys()
    if json:
        for key in keys:
            typer.echo(msgspec.json.encode(_facts(key, used=used.get(key.id, 0), now=now)))
    elif not keys:
        typer.echo(f"no keys in {store.path}", err=True)
    else:
        width = max(len(key.name) for key in keys)
        for key in keys:
            typer.echo(f"{key.name:{width}}  {_line(key, used=used.get(key.id, 0), now=now)}")


@command.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name, or its id.")],
    *,
    state: State = None,
    config: Config = None,
) -> None:
    """End a key and every session that was opened with it."""
    key = _store(state, config).revoke(name, now=time.time())
    typer.echo(f"revoked: {key.name} ({key.id}); servers at work know within a second", err=True)


def _store(state: Path | None, config: Config) -> KeyStore:
    settings = read_settings(file=config, flags=server_flags(None, None, state))
    return KeyStore(state_folder(settings))


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([mhdwy])", text)
    if not found or not int(found[1]):
        raise SettingsError(
            f"--expires {text!r}: expected a number and one of m, h, d, w, y", hint="such as 30d"
        )
    return int(found[1]) * _UNITS[found[2]]


def _state(key: Key, *, now: float) -> str:
    if key.revoked is not None:
        return "revoked"
    return "holds" if key.holds(now) else "expired"


def _facts(key: Key, *, used: int, now: float) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "state": _state(key, now=now),
        "scopes": sorted(key.scopes),
        "per_minute": key.per_minute,
        "per_day": key.per_day,
        "used_today": used,
        "created": _when(key.created),
        "expires": _when(key.expires),
        "revoked": _when(key.revoked),
        "last_used": _when(key.last_used),
    }


def _line(key: Key, *, used: int, now: float) -> str:
    limits = [
        f"{key.per_minute} a minute" if key.per_minute else "",
        f"{used} of {key.per_day} today" if key.per_day else f"{used} today",
    ]
    words = [
        key.id,
        _state(key, now=now),
        ",".join(sorted(key.scopes)),
        ", ".join(filter(None, limits)),
        f"used {_when(key.last_used) or 'never'}",
        f"expires {_when(key.expires)}" if key.expires else "",
    ]
    return "  ".join(filter(None, words))


def _when(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
