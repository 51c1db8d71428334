"""Makes a process that serves, and hears from it whether it can."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Final, NoReturn

from tintype.errors import TintypeError

WOKEN_BY: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_INTERRUPTED: Final = 130  # what shells say of a program that SIGINT ended
_MOST_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a process tells the one that made it: that it is ready, or why it cannot be."""

    error: str | None = None
    hint: str | None = None

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self.error is None


class Reporter:
    """Tells it, once, through a pipe."""

    def __init__(self, file: int) -> None:
        self._file = file

    def ready(self) -> None:
        """It serves."""
        self._tell(Report())

    def failed(self, error: TintypeError | OSError) -> bool:
        """It does not, for this reason; False where it has told something already."""
        if isinstance(error, TintypeError):
            return self._tell(Report(error=error.message, hint=error.hint))
        return self._tell(Report(error=str(error)))

    def _tell(self, report: Report) -> bool:
        file, self._file = self._file, -1
        if file < 0:
            return False
        with suppress(OSError):  # nobody may be there to read it
            os.write(file, json.dumps(asdict(report)).encode())
        os.close(file)
        return True


class Child:
    """A process that was made, seen from the one that made it."""

    def __init__(self, pid: int, reports: int) -> None:
        self.pid = pid
        self.reports = reports
        """The pipe to read from until it has told its report; then -1."""
        self._told = b""

    def read(self) -> Report | None:
        """What it reports, once that is there whole; None before, and where it tells nothing."""
        if self.reports < 0:
            return None
        try:
            while told := os.read(self.reports, _MOST_BYTES):
                self._told += told
        except BlockingIOError:
            return None
        os.close(self.reports)
        self.reports = -1
        with suppress(ValueError, TypeError):
            return Report(**json.loads(self._told))
        return None

    def close(self) -> None:
        """It has ended: what it has not reported it never will."""
        if self.reports >= 0:
            os.close(self.reports)
            self.reports = -1

    def send(self, number: int) -> None:
        """Send it a signal. One that stands still goes on, to hear it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
            os.kill(self.pid, signal.SIGCONT)


def fork(live: Callable[[Reporter], None], *, closes: Iterable[int]) -> Child:
    """A process of its own that does ``live`` and ends.

    ``closes`` are files that it does not keep. It has a process group of its own: Ctrl-C in a
    terminal goes to the group of who made it, who passes it on. Raises OSError.
    """
    reports, reporting = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with _deaf() as before:  # until the child has handlers of its own, those of its maker are there
        try:
            pid = os.fork()
        except OSError:
            os.close(reports)
            os.close(reporting)
            raise
        if pid == 0:
            _begin(before, closes=(reports, *closes))
            _live(live, Reporter(reporting))
        with suppress(OSError):
            os.setpgid(pid, pid)
    os.close(reporting)
    os.set_blocking(reports, False)
    return Child(pid, reports)


@contextmanager
def signals_as_bytes() -> Iterator[int]:
    """A file to read from: a byte for each signal of ``WOKEN_BY`` that comes, its number."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    before = [signal.signal(number, lambda *_: None) for number in WOKEN_BY]
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in zip(WOKEN_BY, before, strict=True):
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


@contextmanager
def _deaf() -> Iterator[set[int]]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WOKEN_BY)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(mask: set[int], *, closes: Iterable[int]) -> None:
    """Let go of what belongs to the one who made this process."""
    with suppress(OSError):
        os.setpgid(0, 0)
    woken = signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for file in (woken, *closes):
        os.close(file)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _live(live: Callable[[Reporter], None], reporter: Reporter) -> NoReturn:
    """Do it and end, with the exit status that the command itself would have."""
    status = 1
    try:
        live(reporter)
        status = 0
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except (TintypeError, OSError) as error:
        if not reporter.failed(error):
            print(f"error: {error}", file=sys.stderr)  # noqa: T201 - it has served; whoever reads that
    except BaseException:  # noqa: BLE001 - there is nobody above
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)
