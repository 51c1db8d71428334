"""Logs go to stderr: pretty lines on a terminal, one JSON object a line elsewhere.

A log that cannot be written, because the disk is full or its reader has gone or is slow, never
stops what is logged about.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import queue
import sys
import threading
from dataclasses import dataclass
from typing import Final, TextIO

import msgspec
import structlog

from tintype.errors import SettingsError

_MOST_WAITING: Final = 10_000
_LIBRARIES: Final = ("uvicorn", "asyncio")
_FORMATS: Final = ("auto", "json", "pretty")
_LEVELS: Final = ("debug", "info", "warning", "error")


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


class LogLines:
    """A file for loggers: a thread of its own writes the lines, so that ``write`` never waits.

    Lines above ``most`` that wait are dropped, and so are those that the file does not take: its
    disk is full, its reader gone. Both are counted, and told in the next line that is written.
    """

    def __init__(self, file: TextIO, *, most: int = _MOST_WAITING) -> None:
        self._file = file
        self._lines: queue.Queue[str | threading.Event] = queue.Queue(most)
        self._overflow = 0  # belongs to those who write
        self._unwritten = self._told = 0  # belong to the thread
        threading.Thread(target=self._work, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """Lines dropped so far."""
        return self._overflow + self._unwritten

    def write(self, text: str) -> int:
        """Take a line. Never raises, never waits."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._overflow += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: the thread flushes every line. Loggers call this."""

    def drain(self, seconds: float = 1.0) -> bool:
        """Wait until what was taken so far is written, at most so long; tell whether it is."""
        written = threading.Event()
        with contextlib.suppress(queue.Full):
            self._lines.put(written, timeout=seconds)
        return written.wait(seconds)

    def _work(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            self._write_out(line)

    def _write_out(self, line: str) -> None:
        dropped = self.dropped
        try:
            if dropped > self._told:
                count = dropped - self._told
                self._file.write(f'{{"event": "log lines dropped", "count": {count}}}\n')
            self._file.write(line)
            self._file.flush()
        except (OSError, ValueError):  # full, gone or closed
            self._unwritten += 1
        else:
            self._told = dropped


class _FromLibraries(logging.Handler):
    """Passes on what libraries log, so that every line has one form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one of our lines."""
        words = record.getMessage()
        structlog.get_logger().log(
            record.levelno, words, logger=record.name, exc_info=record.exc_info
        )


def _json(line: object, **_: object) -> str:
    """One line; what JSON has no word for is told as Python would print it."""
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (TypeError, ValueError):  # half a character, of a file's name
        return json.dumps(line, default=repr)


def set_up_logs(settings: LogSettings) -> LogLines:
    """Configure logs once for this process."""
    # no local variables in tracebacks: they hold what people sent
    if settings.as_json:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendering: list[structlog.typing.Processor] = [
            structlog.processors.ExceptionRenderer(transformer),
            structlog.processors.JSONRenderer(_json),
        ]
    else:
        plain = structlog.dev.plain_traceback
        rendering = [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    lines = LogLines(sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.WriteLoggerFactory(file=lines),  # type: ignore[arg-type]  # it calls write and flush only
        cache_logger_on_first_use=True,
    )
    for library in _LIBRARIES:
        logger = logging.getLogger(library)
        logger.handlers = [_FromLibraries()]
        logger.propagate = False
    atexit.register(lines.drain)
    return lines
