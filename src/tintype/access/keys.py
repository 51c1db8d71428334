"""API keys: how they look, how they are told apart, what they allow. No IO here.

A key is ``tt_<id>_<secret>``: eight letters that name it and 43 that nobody can guess (256 bits).
Only the SHA-256 of the whole text is stored. A slow hash is for passwords, which can be guessed;
256 random bits cannot, and a slow hash of whatever strangers send would be a way to keep the
server busy.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tintype.errors import SettingsError

_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LETTERS: Final = 8
_SECRET_LETTERS: Final = 43
_TEXT: Final = re.compile(rb"tt_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}")
_NAME: Final = re.compile(r"[\w@.+](?:[\w @.+-]{0,62}[\w@.+-])?")
_NOBODY: Final = bytes(32)


class Scope(StrEnum):
    """What a key may do. ``admin`` may do everything."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key as it is stored. Times are seconds since 1970; limits of 0 are none.

    ``digest`` is the SHA-256 of the key's text. ``per_minute`` and ``per_day`` are requests; of a
    batch each picture counts.
    """

    id: str
    name: str
    digest: bytes
    scopes: frozenset[Scope]
    per_minute: int = 0
    per_day: int = 0
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None
    last_used: float | None = None

    def holds(self, now: float) -> bool:
        """Whether it is neither revoked nor past its time."""
        return self.revoked is None and (self.expires is None or now < self.expires)

    def allows(self, scope: Scope) -> bool:
        """Whether it may do that."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def new_text() -> str:
    """A new key's text, with 256 bits from the system's own generator."""
    return f"tt_{_word(_ID_LETTERS)}_{_word(_SECRET_LETTERS)}"


def _word(letters: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))


def id_of(text: bytes) -> str | None:
    """The id within a key's text, None where it is no key's text at all."""
    found = _TEXT.fullmatch(text)
    return found[1].decode() if found else None


def digest_of(text: bytes) -> bytes:
    """What is stored of a key or of a session."""
    return hashlib.sha256(text).digest()


def is_text_of(text: bytes, key: Key | None) -> bool:
    """Whether ``text`` is the text of ``key``. Takes as long whatever is wrong, or missing."""
    expected = _NOBODY if key is None else key.digest
    return hmac.compare_digest(digest_of(text), expected) and key is not None


def check_name(name: str) -> str:
    """A name for a key, as it may stand in logs and lists. Raises SettingsError."""
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name[:80]!r} is no name for a key",
            hint="1 to 64 letters, digits and the signs _ . + - @, spaces between them",
        )
    return name
