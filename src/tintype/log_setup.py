"""Logs go to stderr: pretty lines on a terminal, one JSON object a line elsewhere.

A log that cannot be written, because the disk is full or its reader has gone or is slow, never
stops what is logged about.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import logging
import os
import queue
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO, TypeAlias

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from tintype.errors import SettingsError

_MOST_WAITING: Final = 10_000
_MOST_KEPT: Final = 100
_LINGER_SECONDS: Final = 0.1
_URGENT: Final = frozenset({"warning", "error", "critical"})
_LIBRARIES: Final = ("uvicorn", "asyncio")
_FORMATS: Final = ("auto", "json", "pretty")
_LEVELS: Final = ("debug", "info", "warning", "error")


Render: TypeAlias = Callable[[EventDict], str]
"""Makes an event the line that is written, with its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How lines look and which are written. ``auto``: pretty on a terminal, JSON elsewhere.

    Raises SettingsError for other words.
    """

    format: str = "auto"
    level: str = "info"

    def __post_init__(self) -> None:
        for name, known in (("format", _FORMATS), ("level", _LEVELS)):
            if getattr(self, name) not in known:
                words = ", ".join(known)
                raise SettingsError(f"log.{name} is {getattr(self, name)!r}, expected {words}")

    @property
    def as_json(self) -> bool:
        """Whether a line is to be one JSON object."""
        return self.format == "json" or (self.format == "auto" and not sys.stderr.isatty())


class Turn:
    """Whose turn it is to write, among processes that write to one file.

    What is longer than PIPE_BUF (4096 bytes) is else torn where it goes into a pipe (pipe(7)).
    ``file`` is an open one that all have from the process that forked them: its lock is a
    process's own, and ends with it (fcntl(2), advisory record locking).
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        with contextlib.suppress(OSError):  # better torn than not written
            fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def take(self) -> bool:
        """Take it if nobody has it; tell whether. Leave the block to give it back."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class AmongSeveral:
    """What a process that is one of several says in each line, and how they take turns."""

    number: int
    turn: Turn

    @property
    def facts(self) -> dict[str, int]:
        """What each line tells besides."""
        return {"process": self.number}


class LogLines:
    """A file for loggers: a thread of its own renders and writes, so that ``take`` never waits.

    Lines above ``most`` that wait are dropped, and so are those that the file does not take: its
    disk is full, its reader gone. Both are counted, and told in the next line that is written.
    The thread lets a few come together, ``_LINGER_SECONDS`` at most: waking it for each would cost
    more than writing it. A warning, and what came before it, is written at once. Where there are
    several processes, ``among`` tells which this is.
    """

    def __init__(
        self,
        file: TextIO,
        *,
        render: Render,
        most: int = _MOST_WAITING,
        among: AmongSeveral | None = None,
    ) -> None:
        self._file = file
        self._render = render
        self._most = most
        self._facts = {} if among is None else among.facts
        self._turn = contextlib.nullcontext() if among is None else among.turn
        self._events: queue.SimpleQueue[EventDict | threading.Event] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._overflow = 0  # belongs to those who write
        self._unwritten = self._told = 0  # belong to the thread
        threading.Thread(target=self._work, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """Lines dropped so far."""
        return self._overflow + self._unwritten

    def take(self, event: EventDict) -> None:
        """Take what will be a line. Never raises, never waits."""
        if self._events.qsize() >= self._most:
            self._overflow += 1
            return
        self._events.put(event)
        if event.get("level") in _URGENT:
            self._hurry.set()

    def drain(self, seconds: float = 1.0) -> bool:
        """Wait until what was taken so far is written, at most so long; tell whether it is."""
        written = threading.Event()
        self._events.put(written)
        self._hurry.set()
        return written.wait(seconds)

    def _work(self) -> None:
        while True:
            waiting = [self._events.get()]
            self._hurry.wait(_LINGER_SECONDS)
            self._hurry.clear()
            with contextlib.suppress(queue.Empty):
                while True:
                    waiting.append(self._events.get_nowait())
            self._write_out([each for each in waiting if not isinstance(each, threading.Event)])
            for each in waiting:
                if isinstance(each, threading.Event):
                    each.set()

    def _write_out(self, events: list[EventDict]) -> None:
        dropped = self.dropped
        lines = list(map(self._line, events))
        if dropped > self._told:
            missing = {"event": "log lines dropped", "count": dropped - self._told, **self._facts}
            lines.insert(0, f"{json.dumps(missing)}\n")
        try:
            with self._turn:
                self._file.write("".join(lines))
                self._file.flush()
        except (OSError, ValueError):  # full, gone or closed
            self._unwritten += len(events)
        else:
            self._told = dropped

    def _line(self, event: EventDict) -> str:
        """The event as a line; nothing, counted, for one that cannot be told."""
        try:
            return self._render({**event, **self._facts} if self._facts else event)
        except Exception:  # noqa: BLE001 - a value's own words for itself may raise anything
            self._unwritten += 1
            return ""


class WaitingLines:
    """Lines of a process that has no thread for them, and must not wait.

    What cannot be written at once is kept for the next ``write``; of many, the newest.
    """

    def __init__(self, settings: LogSettings, *, file: int, turn: Turn) -> None:
        self._level = _LEVELS.index(settings.level)
        self._render = _renderer(as_json=settings.as_json)
        self._file = file
        self._turn = turn
        self._lines: deque[bytes] = deque(maxlen=_MOST_KEPT)

    def add(self, level: str, event: str, **facts: object) -> None:
        """Make a line of it, unless such are not written."""
        if _LEVELS.index(level) >= self._level:
            said = {"event": event, **facts, "level": level, "timestamp": time.time()}
            self._lines.append(self._render(said).encode("utf-8", "replace"))

    def write(self) -> bool:
        """Write what can be; tell whether nothing is left."""
        while self._lines and self._has_room() and self._turn.take():
            with self._turn, contextlib.suppress(OSError):
                os.write(self._file, self._lines.popleft())
        return not self._lines

    def _has_room(self) -> bool:
        """Whether a line can be written without waiting for a reader."""
        room = select.poll()
        room.register(self._file, select.POLLOUT)
        return bool(room.poll(0))


class _FromLibraries(logging.Handler):
    """Passes on what libraries log, so that every line has one form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one of our lines."""
        words = record.getMessage()
        structlog.get_logger().log(
            record.levelno, words, logger=record.name, exc_info=record.exc_info
        )


def _noted(_: object, level: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, object]]:
    """What is known only here and now; the rest of a line is made where it is written."""
    event["level"] = "error" if level == "exception" else level
    event["timestamp"] = time.time()
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return (event,), {}


def _stamped(_: object, __: str, event: EventDict) -> EventDict:
    at = datetime.fromtimestamp(event.pop("timestamp"), UTC)
    event["timestamp"] = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event


def _json(line: object, **_: object) -> str:
    """One line; what JSON has no word for is told as Python would print it."""
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (TypeError, ValueError):  # half a character, of a file's name
        return json.dumps(line, default=repr)


def _renderer(*, as_json: bool) -> Render:
    """Makes an event a line. No local variables in tracebacks: they hold what people sent."""
    last: tuple[Processor, ...]
    if as_json:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        last = (
            structlog.processors.ExceptionRenderer(transformer),
            structlog.processors.JSONRenderer(_json),
        )
    else:
        plain = structlog.dev.plain_traceback
        last = (structlog.dev.ConsoleRenderer(exception_formatter=plain),)
    processors: tuple[Processor, ...] = (_stamped, *last)

    def render(event: EventDict) -> str:
        line: Any = event
        for process in processors:
            line = process(None, event["level"], line)
        return f"{line}\n"

    return render


class _Taking:
    """The logger under structlog's: every level is taken alike."""

    def __init__(self, lines: LogLines) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = lines.take
        self.exception = lines.take


def set_up_logs(settings: LogSettings, *, among: AmongSeveral | None = None) -> LogLines:
    """Configure logs once for this process, which may be one of several."""
    lines = LogLines(sys.stderr, render=_renderer(as_json=settings.as_json), among=among)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _noted],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=lambda *_: _Taking(lines),
        cache_logger_on_first_use=True,
    )
    for library in _LIBRARIES:
        logger = logging.getLogger(library)
        logger.handlers = [_FromLibraries()]
        logger.propagate = False
    atexit.register(lines.drain)
    return lines
