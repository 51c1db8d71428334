"""Several processes at one address: makes them, replaces those that end, and has them leave.

The process that does so serves nobody. It has one thread, and waits for three things: signals, what
its processes report, and the time to replace one.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from tintype.cli.family_folder import family_folder, remove
from tintype.cli.forking import Child, Report, Reporter, fork, signals_as_bytes
from tintype.cli.member import Member
from tintype.cli.shared_listener import Seats
from tintype.errors import SettingsError, TintypeError
from tintype.log_setup import AmongSeveral, LogSettings, Turn, WaitingLines
from tintype.worker import Worker

_SETTLED_SECONDS: Final = 60.0
_LONGEST_WAIT: Final = 30.0
_WRITE_AGAIN_SECONDS: Final = 0.05
_LAST_WRITES: Final = 20


Why: TypeAlias = dict[str, str | int]
"""How a process ended, as the log tells it."""


def seconds_before(short_lives: int) -> float:
    """How long to wait before a process is replaced after so many short lives in a row.

    The first time not at all; then 1, 2, 4, ... 30 seconds.
    """
    if short_lives < 2:
        return 0.0
    return min(_LONGEST_WAIT, 2.0 ** min(short_lives - 2, 16))


def how_it_ended(status: int) -> Why:
    """What ``os.waitpid`` says of a process, for the log: the signal's name, or the exit status."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return {"status": code}
    with suppress(ValueError):
        return {"signal": signal.Signals(-code).name}
    return {"signal": str(-code)}


@dataclass(slots=True, kw_only=True)
class _One:
    """One of the processes: its number, and when it was made and began to serve."""

    number: int
    child: Child
    born: float
    serves_since: float | None = None
    refused: Report | None = None


class Family:
    """Processes that ``serve`` as their ``Member`` says.

    The first is made alone, and the others when it is ready: it says what is served and whatever is
    wrong, makes what all of them need (tables, converted files), and answers meanwhile. ``ready``
    is called when all are. ``close`` lets go of the address once the family leaves. Until then it
    is kept, so that who comes while every process has ended waits for the next one.
    """

    def __init__(
        self,
        serve: Callable[[Member], None],
        *,
        of: int,
        log: LogSettings,
        ready: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        self._serve = serve
        self._of = of
        self._log_settings = log
        self._ready = ready
        self._close = close
        self._seats = Seats(of)
        self._ones: dict[int, _One] = {}
        self._due: dict[int, float] = {}
        self._short_lives = [0] * of
        self._started = self._leaves = self._hurries = self._left_badly = False
        self._failure: TintypeError | KeyboardInterrupt | None = None

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, and until all that was accepted is finished.

        Raises SettingsError where a process or the folder cannot be made, the error of a process
        that cannot start, KeyboardInterrupt after SIGINT before the start was done or while nothing
        was waited for any more, SystemExit where one ended badly as it left.
        """
        with ExitStack() as stack:
            self._folder = stack.enter_context(family_folder())
            turn = stack.enter_context((self._folder / "log.turn").open("w"))
            self._turn = Turn(turn.fileno())
            self._log = WaitingLines(self._log_settings, file=2, turn=self._turn)
            self._living, self._lives = stack.enter_context(_pipe())
            self._woken = stack.enter_context(signals_as_bytes())
            gc.freeze()  # nobody walks, and so copies, what all of them share from here on
            self._make(0)
            while self._ones or self._due:
                self._wait()
            for _ in range(_LAST_WRITES):
                if self._log.write():
                    break
                time.sleep(_WRITE_AGAIN_SECONDS)
        if self._failure is not None:
            raise self._failure
        if self._left_badly:
            sys.exit(1)

    def _wait(self) -> None:
        """Wait for the next thing to do, and do it."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        for one in self._ones.values():
            if one.child.reports >= 0:
                poll.register(one.child.reports, select.POLLIN)
        poll.poll(self._milliseconds())
        for number in _read(self._woken):
            if number in {signal.SIGINT, signal.SIGTERM}:
                self._order(number)
        for one in self._ones.values():
            self._hear(one)
        self._reap()
        if not (self._started or self._leaves):
            self._go_on_with_the_start()
        for number in [number for number, due in self._due.items() if due <= time.monotonic()]:
            del self._due[number]
            self._make(number)

    def _milliseconds(self) -> float | None:
        """Until the next thing to do by the clock, None where there is none."""
        waits = [due - time.monotonic() for due in self._due.values()]
        if not self._log.write():
            waits.append(_WRITE_AGAIN_SECONDS)
        return max(0.0, 1000 * min(waits)) if waits else None

    def _make(self, number: int) -> None:
        """Make a process. One that cannot be made is as one that ends at once."""
        others = [one.child.reports for one in self._ones.values() if one.child.reports >= 0]
        try:
            child = fork(partial(self._live, number), closes=(self._lives, *others))
        except OSError as error:
            self._ended(number, lived=0.0, why={"error": f"it cannot be made: {error.strerror}"})
            return
        self._ones[child.pid] = _One(number=number, child=child, born=time.monotonic())

    def _live(self, number: int, reporter: Reporter) -> None:
        """What each process does."""
        parent = os.getppid()
        member = Member(
            ready=reporter.ready,
            worker=Worker(number=number, of=self._of, folder=self._folder),
            speaks=number == 0 and not self._started,
            among=AmongSeveral(number=number, turn=self._turn),
            seats=self._seats,
            parent=self._living,
        )
        try:
            self._serve(member)
        finally:
            if os.getppid() != parent:  # it would have done that
                remove(self._folder)

    def _hear(self, one: _One) -> None:
        """Read what a process reports, if it does."""
        report = one.child.read()
        if report is None:
            return
        if not report.ready:
            one.refused = report
            return
        one.serves_since = time.monotonic()
        if self._started:
            took = round(one.serves_since - one.born, 3)
            self._log.add("info", "process ready", process=one.number, seconds=took)

    def _go_on_with_the_start(self) -> None:
        """Make the others when the first is ready; when all are, the start is done."""
        if not self._ones or any(one.serves_since is None for one in self._ones.values()):
            return
        made = {one.number for one in self._ones.values()} | self._due.keys()
        for number in range(self._of):
            if number not in made and not self._leaves:
                self._make(number)
        if len(self._ones) == self._of and made == set(range(self._of)):
            self._started = True
            self._ready()

    def _reap(self) -> None:
        """See to the processes that have ended."""
        for pid, status in _ended_processes():
            one = self._ones.pop(pid, None)
            if one is None:  # a container's first process has those that others left, too
                continue
            self._hear(one)
            one.child.close()
            self._seats.leave(one.number)
            why = how_it_ended(status)
            if one.refused is not None and one.refused.error is not None:
                why = {"error": one.refused.error, "hint": one.refused.hint or ""}
            if one.serves_since is None:
                self._ended(one.number, lived=0.0, why=why)
            elif status == 0:
                self._left(one.number)
            else:
                self._ended(one.number, lived=time.monotonic() - one.serves_since, why=why)

    def _left(self, number: int) -> None:
        """A process finished what it had, as it was told: by us, or by who wants a fresh one."""
        if not self._leaves:
            self._log.add("info", "process left", process=number)
            self._due[number] = time.monotonic()

    def _ended(self, number: int, *, lived: float, why: Why) -> None:
        """A process ended that should not have; ``lived`` are the seconds that it served."""
        if self._leaves:
            if lived and not self._hurries:
                self._log.add("error", "process ended", process=number, **why)
                self._left_badly = True
            return
        if not self._started:
            self._give_up(_start_failed(number, self._of, why))
            return
        self._short_lives[number] = 1 + (
            0 if lived >= _SETTLED_SECONDS else self._short_lives[number]
        )
        wait = seconds_before(self._short_lives[number])
        self._due[number] = time.monotonic() + wait
        self._log.add(
            "error",
            "process ended",
            process=number,
            **why,
            lived_seconds=round(lived, 3),
            again_in_seconds=wait,
        )

    def _give_up(self, failure: TintypeError) -> None:
        """The start has failed: what has begun may finish what it took meanwhile."""
        self._failure = failure
        self._leave(signal.SIGTERM)

    def _order(self, number: int) -> None:
        """Leave: SIGINT and SIGTERM go to all, who take them as one process alone does.

        The first lets them finish, another SIGINT ends that, and after that it ends them.
        """
        if not self._leaves:
            if not self._started and number == signal.SIGINT:
                self._failure = KeyboardInterrupt()
            self._leave(number)
        elif number == signal.SIGINT and self._hurries:
            self._failure = KeyboardInterrupt()
            self._send(signal.SIGKILL)
        else:
            self._hurries = number == signal.SIGINT or self._hurries
            self._send(number)

    def _leave(self, number: int) -> None:
        self._leaves = True
        self._due.clear()
        self._close()
        self._send(number)

    def _send(self, number: int) -> None:
        for one in self._ones.values():
            one.child.send(number)


def _ended_processes() -> Iterator[tuple[int, int]]:
    """The ids of those that have ended, each with its status."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            yield ended


def _start_failed(number: int, of: int, why: Why) -> TintypeError:
    """What the person is told: the words of the process, or how it ended without any."""
    if "error" in why:
        return TintypeError(str(why["error"]), hint=str(why.get("hint", "")) or None)
    how = f"by {why['signal']}" if "signal" in why else f"with status {why['status']}"
    return SettingsError(
        f"process {number} of {of} ended {how} before all could serve",
        hint="each has a copy of every model: is there memory for so many? --processes takes fewer",
    )


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    try:
        yield read, write
    finally:
        os.close(read)
        os.close(write)


def _read(file: int) -> bytes:
    try:
        return os.read(file, 4096)
    except BlockingIOError:
        return b""
