"""Keys in a folder of their own, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tintype.access.keys import Key, Scope, digest_of, id_of, new_text
from tintype.access.store import KeyStore

NOON = 1_700_049_600.0
"""2023-11-15T12:00:00Z."""


class Clock:
    """Tells the time it is set to."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logs() -> Iterator[list]:
    """What was logged, instead of writing it."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state")


@pytest.fixture
def add(store: KeyStore) -> Callable[..., tuple[str, Key]]:
    """Keeps a new key; tells its text and what was kept."""

    def add(name: str = "ann", *scopes: Scope, **more) -> tuple[str, Key]:
        text = new_text()
        key = Key(
            id=id_of(text.encode()),
            name=name,
            digest=digest_of(text.encode()),
            scopes=frozenset(scopes or (Scope.PREDICT,)),
            created=NOON - 1000,
            **more,
        )
        store.add(key)
        return text, key

    return add
