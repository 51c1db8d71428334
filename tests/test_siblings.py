"""Processes of one family ask each other, and none waits long for one that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import structlog

from tintype.errors import SettingsError
from tintype.siblings import LIFE_SECONDS, MOST_BYTES, Siblings
from tintype.worker import ALONE, Worker

CODE = """
import asyncio, sys
from pathlib import Path
from tintype.siblings import Siblings
from tintype.worker import Worker

async def main():
    siblings = Siblings(Worker(number=1, of=2, folder=Path(sys.argv[1])))
    async def name(about):
        return about
    siblings.answer("name", name)
    async with siblings:
        print("listens", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def pair(family) -> tuple[Siblings, Siblings]:
    """Two of them, not entered."""
    one, two = map(Siblings, family)
    return one, two


@pytest.fixture
def other(family):
    """A real process, the other of the family; ended by the test, or behind it."""
    command = [sys.executable, "-c", CODE, str(family[0].folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "listens\n" == process.stdout.readline()
        yield process
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def echo(about: str) -> str:
    return about


async def test_an_answer_comes_back_with_the_number_of_who_gave_it(pair):
    """Whatever MessagePack can hold, and whatever it is about."""
    one, two = pair
    one.answer("echo", echo)
    two.answer("echo", echo)
    async with one, two:
        assert {1: "pets é\0"} == await one.ask("echo", str, about="pets é\0")
        assert {0: ""} == await two.ask("echo", str)
        assert "x" == await one.ask_one(1, "echo", str, about="x")


async def test_one_process_alone_opens_nothing(tmp_path: Path):
    """And has nobody to ask."""
    for worker in (ALONE, Worker(folder=tmp_path)):
        async with Siblings(worker) as alone:
            assert {} == await alone.ask("echo", str)
            assert await alone.ask_one(0, "echo", str) is None
    assert not (tmp_path / "0.sock").exists()


async def test_a_large_answer_comes_whole(pair):
    """Several megabytes, more than a socket holds at once."""
    one, two = pair

    async def much(_: str) -> bytes:
        return bytes(8 << 20)

    two.answer("much", much)
    async with one, two:
        assert bytes(8 << 20) == (await one.ask("much", bytes, seconds=10))[1]


@pytest.mark.parametrize("number", [-1, 0, 2, 99])
async def test_who_is_none_of_the_others_is_not_asked(pair, number: int):
    """Itself, and numbers that there are not."""
    one, two = pair
    async with one, two:
        assert await one.ask_one(number, "echo", str) is None


async def test_what_is_no_answer_is_left_out(pair):
    """An unknown question, an error, something else than was asked for, far too much."""
    one, two = pair

    async def fail(_: str) -> str:
        raise SettingsError("not now")

    two.answer("fail", fail)
    two.answer("echo", echo)
    async with one, two:
        with structlog.testing.capture_logs() as logs:
            assert {} == await one.ask("fail", str)
            assert {} == await one.ask("echo", int)
        assert {} == await one.ask("nobody knows", str)
        assert {} == await one.ask("echo", str, about="x" * 10_000)
        assert {1: "still"} == await one.ask("echo", str, about="still")
    assert ["fail", "echo"] == [each["question"] for each in logs]


async def test_an_answer_that_takes_a_while_is_waited_for_by_who_says_so(pair):
    """The sign of life came in time."""
    one, two = pair

    async def slowly(about: str) -> str:
        await asyncio.sleep(LIFE_SECONDS + 0.1)
        return about

    two.answer("slowly", slowly)
    async with one, two:
        assert {} == await one.ask("slowly", str)
        assert {1: "x"} == await one.ask("slowly", str, about="x", seconds=10)


async def test_one_that_is_stopped_costs_a_moment_and_comes_back(pair, other):
    """SIGSTOP: the system takes the question, and nobody reads it."""
    one = pair[0]
    async with one:
        assert {1: "x"} == await one.ask("name", str, about="x", seconds=10)
        os.kill(other.pid, signal.SIGSTOP)
        begun = time.monotonic()
        assert {} == await one.ask("name", str, seconds=60)
        took = time.monotonic() - begun
        os.kill(other.pid, signal.SIGCONT)
        assert {1: "y"} == await one.ask("name", str, about="y", seconds=10)
    assert LIFE_SECONDS * 0.9 < took < LIFE_SECONDS + 5


async def test_one_that_was_killed_costs_nothing_and_is_replaced(pair, other):
    """Its socket lies there; the next of its number takes the place."""
    one, two = pair
    two.answer("name", echo)
    other.kill()
    other.wait()
    async with one:
        assert {} == await one.ask("name", str)
        async with two:
            assert {1: "x"} == await one.ask("name", str, about="x")
        assert {} == await one.ask("name", str)


async def test_one_that_says_nonsense_is_left_out(pair):
    """Half a message, and one that is longer than any may be."""
    one, _ = pair
    said = [b"", b"\x01", b"\x01\x00\x00\x00\x09half", b"\x01" + b"\xff" * 4]

    async def nonsense(_reader, writer) -> None:
        writer.write(said.pop())
        await writer.drain()
        writer.close()

    async with one, await asyncio.start_unix_server(nonsense, f"{one._folder}/1.sock"):
        while said:
            assert {} == await one.ask("echo", str)
    assert MOST_BYTES < 0xFFFF_FFFF


async def test_whoever_sends_nonsense_harms_nobody(pair):
    """The others are answered meanwhile and after it."""
    one, two = pair
    two.answer("echo", echo)
    async with one, two:
        for said in (b"", b"\x00", b"\xff" * 100, b"\x00\x00\x00\x02\xff\xfe"):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(f"{two._folder}/1.sock")
                stranger.send(said)
                assert {1: "x"} == await one.ask("echo", str, about="x", seconds=10)


async def test_a_folder_that_others_can_reach_is_refused(pair):
    """Who may connect would be trusted."""
    one, _ = pair
    one._folder.chmod(0o750)
    with pytest.raises(SettingsError, match="others can reach it"):
        await one.__aenter__()


async def test_a_folder_that_sockets_cannot_be_in_is_refused_in_words(tmp_path: Path):
    """Its name is longer than a socket's may be, or it is not there."""
    long = tmp_path / ("x" * 120)
    long.mkdir(mode=0o700)
    for folder in (long, tmp_path / "nix"):
        with pytest.raises(SettingsError, match="cannot meet in") as told:
            await Siblings(Worker(number=0, of=2, folder=folder)).__aenter__()
        assert "short name" in told.value.hint
