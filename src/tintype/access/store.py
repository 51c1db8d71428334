"""The keys, sessions and daily counts in one SQLite file, readable by its owner alone.

SQLite because every change is whole or not there, because the command line and a running server
write side by side, and because it is in Python. Every method opens the file anew, so that it may
be called from any thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from tintype.access.keys import Key, Scope
from tintype.errors import SettingsError

FILE_NAME: Final = "keys.db"
SESSIONS_PER_KEY: Final = 20
_FORMAT: Final = 1
_DAYS_KEPT: Final = 32
_BUSY_SECONDS: Final = 5.0
_TABLES: Final = """
BEGIN;
CREATE TABLE keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, scopes TEXT NOT NULL,
    per_minute INTEGER NOT NULL, per_day INTEGER NOT NULL,
    created REAL NOT NULL, expires REAL, revoked REAL, last_used REAL
);
CREATE UNIQUE INDEX live_names ON keys (name) WHERE revoked IS NULL;
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY, key TEXT NOT NULL REFERENCES keys (id), expires REAL NOT NULL
);
CREATE TABLE used (
    key TEXT NOT NULL, day TEXT NOT NULL, requests INTEGER NOT NULL, PRIMARY KEY (key, day)
);
CREATE TABLE revision (number INTEGER NOT NULL);
INSERT INTO revision VALUES (1);
PRAGMA user_version = 1;
COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody signed in with a key. ``digest`` is the SHA-256 of the session's text."""

    digest: bytes
    key: str
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What was used since the last time: requests by key and day, and when each was last used."""

    requests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a server must know. ``revision`` changes with every key and session."""

    revision: int = 0
    keys: Mapping[str, Key] = field(default_factory=dict)
    sessions: Mapping[bytes, Session] = field(default_factory=dict)


class KeyStore:
    """The file ``keys.db`` of a state folder. Constructing does no IO.

    Every method raises SettingsError when the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def add(self, key: Key) -> None:
        """Keep a new key; the file is made if need be. Raises SettingsError for a taken name."""
        self._create()
        with self._changing() as db:
            try:
                db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(key))
            except sqlite3.IntegrityError:
                raise SettingsError(
                    f"there is a key {key.name!r} already",
                    hint=f"another name, or first: tintype keys revoke {key.name!r}",
                ) from None

    def all_keys(self) -> tuple[Key, ...]:
        """Every key, the oldest first; those revoked too. None where there is no file."""
        if not self.path.exists():
            return ()
        with self._open() as db:
            rows = db.execute("SELECT * FROM keys ORDER BY created, id").fetchall()
        return tuple(_key(row) for row in rows)

    def used(self, day: str) -> dict[str, int]:
        """Requests by key on a day such as ``2026-01-31``."""
        if not self.path.exists():
            return {}
        with self._open() as db:
            return _used(db, day)

    def revoke(self, name: str, *, now: float) -> Key:
        """End the key of that name or id, and its sessions. Raises SettingsError: no such key."""
        found = [
            key for key in self.all_keys() if name in {key.name, key.id} and key.revoked is None
        ]
        if not found:
            live = ", ".join(key.name for key in self.all_keys() if key.revoked is None)
            raise SettingsError(f"there is no key {name!r}; there are: {live or 'none'}")
        with self._changing() as db:
            db.execute("UPDATE keys SET revoked = ? WHERE id = ?", (now, found[0].id))
            db.execute("DELETE FROM sessions WHERE key = ?", (found[0].id,))
        return found[0]

    def open_session(self, session: Session, *, now: float) -> None:
        """Keep a session; those past their time go, and the oldest above twenty of one key."""
        with self._changing() as db:
            db.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?)",
                (session.digest, session.key, session.expires),
            )
            db.execute(
                "DELETE FROM sessions WHERE key = ?1 AND rowid NOT IN"
                " (SELECT rowid FROM sessions WHERE key = ?1 ORDER BY rowid DESC LIMIT ?2)",
                (session.key, SESSIONS_PER_KEY),
            )

    def close_session(self, digest: bytes) -> None:
        """Forget a session."""
        with self._changing() as db:
            db.execute("DELETE FROM sessions WHERE digest = ?", (digest,))

    def snapshot(self, *, known: int) -> Snapshot | None:
        """Everything, or None where nothing changed since the revision ``known``."""
        if not self.path.exists():
            if known > 0:  # a lost disk must not open the door
                raise self._gone()
            return Snapshot()
        with self._open() as db:
            (revision,) = db.execute("SELECT number FROM revision").fetchone()
            if revision == known:
                return None
            keys = [_key(row) for row in db.execute("SELECT * FROM keys")]
            sessions = [
                Session(digest=digest, key=key, expires=expires)
                for digest, key, expires in db.execute("SELECT digest, key, expires FROM sessions")
            ]
        return Snapshot(
            revision=revision,
            keys={key.id: key for key in keys},
            sessions={session.digest: session for session in sessions},
        )

    def add_use(self, use: Use, *, day: str) -> dict[str, int]:
        """Add to the counts; tell the sums of ``day`` over all processes that share the file."""
        if not self.path.exists():
            if use.requests:
                raise self._gone()
            return {}
        with self._open() as db:
            if use.requests or use.last:
                _write_use(db, use)
                oldest = date.fromisoformat(day) - timedelta(days=_DAYS_KEPT)
                db.execute("DELETE FROM used WHERE day < ?", (oldest.isoformat(),))
            return _used(db, day)

    def _gone(self) -> SettingsError:
        return SettingsError(f"{self.path} is gone")

    def _create(self) -> None:
        """Make the file, for its owner alone, before anything is in it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self.path.chmod(0o600)
        except OSError as error:
            raise SettingsError(
                f"cannot write {self.path}: {error.strerror}",
                hint="--state names another folder",
            ) from error

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection with one transaction, made whole on the way out."""
        try:
            db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS)
            try:
                self._prepare(db)
                with db:
                    yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise SettingsError(f"cannot use the keys in {self.path}: {error}") from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """The same; running servers see that something changed."""
        with self._open() as db:
            db.execute("UPDATE revision SET number = number + 1")
            yield db

    def _prepare(self, db: sqlite3.Connection) -> None:
        (number,) = db.execute("PRAGMA user_version").fetchone()
        if number == 0:
            try:
                db.executescript(_TABLES)
            except sqlite3.OperationalError:  # another process was quicker by a moment
                db.rollback()
                (number,) = db.execute("PRAGMA user_version").fetchone()
                if number == 0:
                    raise
        elif number > _FORMAT:
            raise SettingsError(
                f"{self.path} was written by a newer version of Tintype",
                hint="update Tintype, or name another folder: --state",
            )


def _write_use(db: sqlite3.Connection, use: Use) -> None:
    db.executemany(
        "INSERT INTO used VALUES (?, ?, ?)"
        " ON CONFLICT (key, day) DO UPDATE SET requests = requests + excluded.requests",
        [(key, day, count) for (key, day), count in use.requests.items()],
    )
    db.executemany(
        "UPDATE keys SET last_used = max(?, coalesce(last_used, 0)) WHERE id = ?",
        [(when, key) for key, when in use.last.items()],
    )


def _used(db: sqlite3.Connection, day: str) -> dict[str, int]:
    return dict(db.execute("SELECT key, requests FROM used WHERE day = ?", (day,)).fetchall())


def _row(key: Key) -> tuple[object, ...]:
    scopes = " ".join(sorted(key.scopes))
    return (
        *(key.id, key.name, key.digest, scopes, key.per_minute, key.per_day),
        *(key.created, key.expires, key.revoked, key.last_used),
    )


def _key(row: tuple[str, str, bytes, str, int, int, float, float, float, float]) -> Key:
    identity, name, digest, scopes, per_minute, per_day, created, expires, revoked, last = row
    return Key(
        id=identity,
        name=name,
        digest=digest,
        scopes=frozenset(Scope(scope) for scope in scopes.split()),
        per_minute=per_minute,
        per_day=per_day,
        created=created,
        expires=expires,
        revoked=revoked,
        last_used=last,
    )
