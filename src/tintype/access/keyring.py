"""The keys and sessions that a running server holds in memory, in step with the store."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

import structlog

from tintype.access.keys import Key, digest_of, id_of, is_text_of
from tintype.access.store import KeyStore, Session, Snapshot, Use
from tintype.errors import SettingsError
from tintype.rounds import Rounds

SYNC_SECONDS: Final = 1.0
LOOKS_APART_SECONDS: Final = 0.2
_LOOKS_IN_A_ROW: Final = 5
_SESSION_BYTES: Final = 32
_LONGEST_TEXT: Final = 64
_NOTHING_READ: Final = -1

log = structlog.get_logger(__name__)


class Keyring:
    """Knows every key and session, and counts their use. Enter it to read the store.

    Once a second it writes the counts and reads what changed, in a thread: a key that is added
    or revoked on the command line holds, or ends, within that second. Somebody who is not known
    is looked for at once. Constructing does no IO.
    """

    def __init__(
        self, store: KeyStore, *, session_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self.session_seconds = session_seconds
        self._clock = clock
        self._known = Snapshot(revision=_NOTHING_READ)
        self._sums: dict[str, int] = {}
        self._sums_day = ""
        self._requests: Counter[tuple[str, str]] = Counter()
        self._last: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._reading = asyncio.Lock()
        self._looks = Rounds(self._look, apart=LOOKS_APART_SECONDS, in_a_row=_LOOKS_IN_A_ROW)
        self._changed: Callable[[], Awaitable[object]] = _nobody

    async def __aenter__(self) -> Self:
        """Read the store. Raises SettingsError."""
        await self._read_changes()
        await self._write_use()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what was counted."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.sync()

    @property
    def has_keys(self) -> bool:
        """Whether a key was ever made here: one that was revoked still keeps the door shut."""
        return bool(self._known.keys)

    @property
    def has_rates(self) -> bool:
        """Whether a key that holds has a limit a minute."""
        now = self._clock()
        return any(key.per_minute and key.holds(now) for key in self._known.keys.values())

    def find(self, text: bytes) -> Key | None:
        """The key of that text, if it holds. Takes as long whatever is wrong with it."""
        key = self._known.keys.get(id_of(text) or "")
        right = is_text_of(text[:_LONGEST_TEXT], key)
        return key if right and key is not None and key.holds(self._clock()) else None

    def find_session(self, text: bytes) -> Key | None:
        """The key that somebody signed in with, if session and key hold."""
        if len(text) > _LONGEST_TEXT:
            return None
        # by its digest: looking up tells nothing about a text that was not digested before
        session = self._known.sessions.get(digest_of(text))
        now = self._clock()
        if session is None or session.expires <= now:
            return None
        key = self._known.keys.get(session.key)
        return key if key is not None and key.holds(now) else None

    async def open_session(self, key: Key) -> str:
        """Sign in: a new session's text. Raises SettingsError when it cannot be stored."""
        now, text = self._clock(), secrets.token_urlsafe(_SESSION_BYTES)
        session = Session(
            digest=digest_of(text.encode()), key=key.id, expires=now + self.session_seconds
        )
        await asyncio.to_thread(self._store.open_session, session, now=now)
        await self._read_changes()
        return text

    async def close_session(self, text: bytes) -> None:
        """Sign out. Raises SettingsError when it cannot be stored."""
        await asyncio.to_thread(self._store.close_session, digest_of(text))
        await self._read_changes()
        await self._changed()

    def when_closed(self, tell: Callable[[], Awaitable[object]]) -> None:
        """Who is told that a session was closed: others may still know it."""
        self._changed = tell

    async def look_again(self) -> bool:
        """Read what changed by now, for somebody who is not known; False if too many ask for it.

        However many do, the store is looked at once each ``LOOKS_APART_SECONDS`` in the long run.
        """
        return await self._looks.join()

    def used_today(self, key: Key) -> int:
        """Requests of the key today (UTC), in all processes that share the store.

        Those of other processes are up to a second late.
        """
        day = self.today()
        before = self._sums.get(key.id, 0) if self._sums_day == day else 0
        return before + self._requests[key.id, day]

    def count(self, key: Key, requests: int) -> None:
        """Note that the key was used."""
        if requests:
            self._requests[key.id, self.today()] += requests
        self._last[key.id] = self._clock()

    def today(self) -> str:
        """The day in UTC, such as ``2026-01-31``."""
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d")

    def seconds_left_today(self) -> float:
        """Until midnight in UTC."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        return (midnight - now).total_seconds()

    async def sync(self) -> None:
        """Write the counts, read what changed. A store that fails changes nothing here."""
        try:
            await self._write_use()
            await self._read_changes()
        except SettingsError as error:
            if not self._failing:
                log.warning("the keys cannot be read; those known hold", error=error.message)
            self._failing = True
        else:
            self._failing = False

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            await self.sync()

    async def _look(self) -> None:
        with contextlib.suppress(SettingsError):  # told by ``sync``
            await self._read_changes()

    async def _write_use(self) -> None:
        use, day = Use(requests=dict(self._requests), last=dict(self._last)), self.today()
        sums = await asyncio.to_thread(self._store.add_use, use, day=day)
        self._requests.subtract(use.requests)
        self._requests += Counter()  # forgets those that are written
        self._last = {k: when for k, when in self._last.items() if use.last.get(k) != when}
        self._sums, self._sums_day = sums, day

    async def _read_changes(self) -> None:
        async with self._reading:  # in turn: what was read first must not be kept last
            known = self._known.revision
            changed = await asyncio.to_thread(self._store.snapshot, known=known)
            if changed is not None and changed.revision != known:
                self._known = changed


async def _nobody() -> None:
    """Nobody else knows sessions."""
