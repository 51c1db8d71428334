"""Admission by weight: how many bytes of decoded pictures may be in flight at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from tintype.errors import DeadlineExceeded, ImageTooLarge, Overloaded, SettingsError

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    size: int
    future: asyncio.Future[None]
    admitted: bool = False
    overtook: bool = False


def never_fits(size: int, *, capacity: int) -> ImageTooLarge:
    """What a picture is told that needs more than there is for all."""
    return ImageTooLarge(
        f"the picture needs {size} bytes once decoded, {capacity} are set aside "
        "for all pictures together",
        hint="the setting memory.pictures_mib moves the limit",
        limit=capacity,
        actual=size,
    )


class ByteGate:
    """Lets holders in while their bytes sum to at most ``capacity``, first come, first served.

    Who waits longer than ``patience_seconds`` is told Overloaded; so is, at once, who finds
    ``max_waiting`` others waiting. A large one at the head is not starved by smaller ones: only
    a twentieth of the capacity may be held by those that overtook it, and none overtake one that
    needs more than the rest. Belongs to one loop; constructing does no IO.
    """

    def __init__(
        self, capacity: int, *, patience_seconds: float = 5.0, max_waiting: int = 256
    ) -> None:
        if capacity < 1:
            raise SettingsError(f"the memory for pictures is {capacity} bytes, expected 1 or more")
        self._capacity = capacity
        self._patience = patience_seconds
        self._max_waiting = max_waiting
        self._share = capacity // 20
        self._held = 0
        self._overtaking = 0
        self._waiters: deque[_Waiter] = deque()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def waiting(self) -> int:
        """How many wait to be let in."""
        return len(self._waiters)

    def hold(self, size: int, *, deadline: float | None = None) -> Hold:
        """Hold ``size`` bytes inside ``async with``.

        Args:
            size: bytes, 0 or more.
            deadline: in seconds of ``time.monotonic``; None for patience alone.

        Entering raises:
            ImageTooLarge: at once, when ``size`` can never fit.
            Overloaded: when too many wait, or patience runs out.
            DeadlineExceeded: when the deadline passes first.
        """
        return Hold(self, size, deadline)

    async def _enter(self, size: int, deadline: float | None) -> bool:
        """Come in; tell whether others were overtaken."""
        if size > self._capacity:
            raise never_fits(size, capacity=self._capacity)
        if not self._waiters and self._fits(size):
            self._take(size, overtook=False)
            return False
        if self._may_overtake(size):
            self._take(size, overtook=True)
            return True
        if len(self._waiters) >= self._max_waiting:
            raise self._overloaded(f"{self._max_waiting} pictures wait for memory already")
        return await self._wait(size, deadline)

    async def _wait(self, size: int, deadline: float | None) -> bool:
        patience = self._patience
        left = patience if deadline is None else min(patience, deadline - time.monotonic())
        waiter = _Waiter(size=size, future=asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(left):
                await waiter.future
        except BaseException as error:
            self._withdraw(waiter)
            if not isinstance(error, TimeoutError):
                raise
            if deadline is not None and left < patience:
                raise DeadlineExceeded(
                    "the deadline passed while the picture waited for memory"
                ) from None
            raise self._overloaded(
                f"no memory for the picture became free within {patience:g} s"
            ) from None
        return waiter.overtook

    def _withdraw(self, waiter: _Waiter) -> None:
        """Undo a wait; the waiter may have been let in just as it was cancelled."""
        if waiter.admitted:
            self._leave(waiter.size, overtook=waiter.overtook)
        else:
            self._waiters.remove(waiter)
            self._admit()  # smaller ones may stand behind it

    def _fits(self, size: int) -> bool:
        return self._held + size <= self._capacity

    def _may_overtake(self, size: int) -> bool:
        return (
            self._fits(size)
            and self._overtaking + size <= self._share
            and bool(self._waiters)
            and self._waiters[0].size <= self._capacity - self._share
        )

    def _take(self, size: int, *, overtook: bool) -> None:
        self._held += size
        self._overtaking += size if overtook else 0

    def _leave(self, size: int, *, overtook: bool = False) -> None:
        self._held -= size
        self._overtaking -= size if overtook else 0
        self._admit()

    def _admit(self) -> None:
        if not self._waiters:
            return
        while self._waiters and self._fits(self._waiters[0].size):
            self._let_in(self._waiters.popleft(), overtook=False)
        for waiter in [one for one in self._waiters if one.size <= self._share]:
            if self._may_overtake(waiter.size):
                self._waiters.remove(waiter)
                self._let_in(waiter, overtook=True)

    def _let_in(self, waiter: _Waiter, *, overtook: bool) -> None:
        self._take(waiter.size, overtook=overtook)
        waiter.admitted, waiter.overtook = True, overtook
        if not waiter.future.done():  # else cancelled this very turn: it withdraws soon
            waiter.future.set_result(None)

    def _overloaded(self, words: str) -> Overloaded:
        return Overloaded(
            words,
            hint="try again later; the setting memory.pictures_mib moves the limit",
            limit=self._capacity,
        )


class Hold:
    """What ``ByteGate.hold`` gives; to be entered once."""

    __slots__ = ("_deadline", "_gate", "_overtook", "_size", "_work")

    def __init__(self, gate: ByteGate, size: int, deadline: float | None) -> None:
        self._gate = gate
        self._size = size
        self._deadline = deadline
        self._work: Future[Any] | None = None
        self._overtook = False

    def keep_for(self, work: Future[T]) -> Future[T]:
        """Hold the bytes until ``work``, done in a thread, has ended.

        Who waits for it may be cancelled long before: a thread cannot be, and its memory stays
        taken until it ends.
        """
        self._work = work
        return work

    async def __aenter__(self) -> Self:
        self._overtook = await self._gate._enter(self._size, self._deadline)  # noqa: SLF001 - the gate's own handle
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        work, self._work = self._work, None  # it may hold an error, and that whoever holds this
        if work is None or work.done():
            self._leave()
            return
        loop = asyncio.get_running_loop()

        def leave_soon(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._leave)

        work.add_done_callback(leave_soon)

    def _leave(self) -> None:
        self._gate._leave(self._size, overtook=self._overtook)  # noqa: SLF001 - the gate's own handle
