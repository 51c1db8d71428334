"""What the processes of one family ask each other, over sockets in their private folder.

One question a connection. The question and its answer are each a length (4 bytes, the highest
first) and so many bytes; the question is a name and, behind a zero byte, what it is about, the
answer a value in MessagePack. Before the answer comes a single byte, as soon as the question is
there: so one that is stopped or hangs is told from one whose answer takes a while.

Only processes of this user reach the sockets: the folder is closed to everybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

import msgspec
import structlog

from tintype.errors import SettingsError, TintypeError
from tintype.worker import Worker

LIFE_SECONDS: Final = 0.3
"""So long one is waited for that gives no sign of life, and for an answer unless told otherwise."""

MOST_BYTES: Final = 128 << 20
_MOST_ASKED: Final = 8192
_LENGTH: Final = struct.Struct("!I")
_ALIVE: Final = b"\x01"
_TRANSFER_SECONDS: Final = 5.0

Give: TypeAlias = Callable[[str], Awaitable[Any]]
"""Answers a question; it is given what the question is about. A TintypeError is no answer."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Siblings:
    """The other processes of a family, and what this one tells them. Enter it to be asked.

    One process alone has no siblings: nothing is opened, and asking gives nothing at once.
    Constructing does no IO.
    """

    def __init__(self, worker: Worker) -> None:
        self.number = worker.number
        self.of = worker.of
        self._folder = worker.folder if worker.of > 1 else None
        self._give: dict[str, Give] = {}
        self._server: asyncio.Server | None = None
        self._at_work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen. A socket left by a killed process of this number is replaced.

        Raises SettingsError where the folder is not this user's own, or cannot be used.
        """
        if self._folder is not None:
            try:
                _refuse_open_folder(self._folder)
                self._server = await _listen(self._take, self._path(self.number))
            except OSError as error:
                raise SettingsError(
                    f"processes cannot meet in {self._folder}: {error}",
                    hint="a folder of this user with a short name",
                ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Answer no more. The socket's file stays behind: who connects to it is refused."""
        if self._server is not None:
            self._server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    def answer(self, name: str, give: Give) -> None:
        """From now on this process answers questions of that name with what ``give`` says."""
        self._give[name] = give

    async def ask(
        self, name: str, kind: type[T], *, about: str = "", seconds: float = LIFE_SECONDS
    ) -> dict[int, T]:
        """Ask all the others side by side: their answers, of that ``kind``, by number.

        One that is dead, gives no sign of life within ``LIFE_SECONDS``, does not know the question,
        answers something else, or whose answer takes longer than ``seconds`` is left out.
        """
        others = [number for number in range(self.of) if number != self.number]
        told = await asyncio.gather(
            *(self.ask_one(each, name, kind, about=about, seconds=seconds) for each in others)
        )
        answers = zip(others, told, strict=True)
        return {number: answer for number, answer in answers if answer is not None}

    async def ask_one(
        self,
        number: int,
        name: str,
        kind: type[T],
        *,
        about: str = "",
        seconds: float = LIFE_SECONDS,
    ) -> T | None:
        """Ask one of the others; None where ``ask`` would leave it out, or there is no such one."""
        if self._folder is None or number == self.number or not 0 <= number < self.of:
            return None
        question = f"{name}\0{about}".encode()
        if len(question) > _MOST_ASKED:
            return None
        try:
            told = await _asked(self._path(number), question, seconds=seconds)
            return msgspec.msgpack.decode(told, type=kind)
        except (OSError, EOFError):  # a TimeoutError is an OSError
            return None
        except msgspec.DecodeError as error:  # of another version, maybe, just being replaced
            log.warning("a sibling's answer cannot be read", question=name, why=str(error))
            return None

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number}.sock"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the question to the end of the answer."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - every coroutine of a server is one's
        self._at_work.add(task)
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._answer(reader, writer)
        finally:
            self._at_work.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_TRANSFER_SECONDS):
            question = await _read(reader, most=_MOST_ASKED)
        writer.write(_ALIVE)
        name, _, about = question.decode("utf-8", "replace").partition("\0")
        give = self._give.get(name)
        if give is None:
            return
        try:
            told = msgspec.msgpack.encode(await give(about))
        except TintypeError as error:
            log.warning("a sibling was not answered", question=name, why=error.message)
            return
        async with asyncio.timeout(_TRANSFER_SECONDS):
            writer.write(_LENGTH.pack(len(told)))
            writer.write(told)
            await writer.drain()
            await _sent(writer)


async def _asked(path: str, question: bytes, *, seconds: float) -> bytes:
    """The answer of whoever listens at ``path``. Raises OSError, TimeoutError, EOFError."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.timeout_at(begun + LIFE_SECONDS) as limit:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(_LENGTH.pack(len(question)) + question)
            await reader.readexactly(len(_ALIVE))
            limit.reschedule(begun + max(seconds, LIFE_SECONDS))
            return await _read(reader, most=MOST_BYTES)
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader, *, most: int) -> bytes:
    """One message. Raises EOFError for half a one, OSError for one that is too long."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > most:
        raise OSError(f"a message of {length} bytes, expected at most {most}")
    return await reader.readexactly(length)


async def _sent(writer: asyncio.StreamWriter) -> None:
    """Wait until the system has taken everything: what is aborted before is lost."""
    writer.close()
    await writer.wait_closed()


async def _listen(
    take: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], path: str
) -> asyncio.Server:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - as texts: a path is only ever a name here
    return await asyncio.start_unix_server(take, path)


def _refuse_open_folder(folder: Path) -> None:
    """Raise OSError unless the folder is this user's, and closed to everybody else."""
    found = folder.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError("others can reach it; expected a folder of mode 0700 of one's own")
