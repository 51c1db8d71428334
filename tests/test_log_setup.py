"""Logs go to stderr and hold nothing that people sent."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from tintype.errors import SettingsError
from tintype.log_setup import (
    AmongSeveral,
    LogLines,
    LogSettings,
    Turn,
    WaitingLines,
    set_up_logs,
)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Logs are configured for the whole process: put them back."""
    loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    yield
    structlog.reset_defaults()
    for logger, (handlers, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate


SECRET = "hunter2"


def fail(secret: str) -> None:
    raise ValueError(f"length {len(secret)}")


def test_what_json_has_no_word_for_is_told_all_the_same(capsys: pytest.CaptureFixture):
    """Half a character of a file's name, an object: the line must not be lost."""
    lines = set_up_logs(LogSettings(format="json"))
    structlog.get_logger("test").info("said", name="a\udc80", what=Ellipsis)
    assert lines.drain()
    line = json.loads(capsys.readouterr().err)
    assert ("a\udc80", "Ellipsis") == (line["name"], line["what"])


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_traceback_shows_no_local_variables(form, capsys: pytest.CaptureFixture):
    """What a function was given never reaches the log."""
    lines = set_up_logs(LogSettings(format=form))
    try:
        fail(SECRET)
    except ValueError as error:
        structlog.get_logger().error("broken", exc_info=error)
    assert lines.drain()
    told = capsys.readouterr()
    assert "" == told.out
    assert "ValueError" in told.err
    assert SECRET not in told.err


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture):
    """Level, time and what was bound."""
    lines = set_up_logs(LogSettings(format="json"))
    structlog.get_logger().info("request", status=200)
    assert lines.drain()
    line = json.loads(capsys.readouterr().err)
    assert ("request", "info", 200) == (line["event"], line["level"], line["status"])


def test_what_a_library_logs_has_the_same_form(capsys: pytest.CaptureFixture):
    """A line that is no JSON breaks whoever reads the log."""
    lines = set_up_logs(LogSettings(format="json"))
    logging.getLogger("asyncio").warning("a socket broke")
    assert lines.drain()
    line = json.loads(capsys.readouterr().err)
    assert ("a socket broke", "warning") == (line["event"], line["level"])


def test_an_address_cannot_steer_the_terminal(capsys: pytest.CaptureFixture):
    """Line ends and escape codes are shown as such."""
    lines = set_up_logs(LogSettings(format="pretty"))
    structlog.get_logger().info("request", path="/\n\x1b]0;title\x07")
    assert lines.drain()
    told = capsys.readouterr().err
    assert "\\n\\x1b]0;title\\x07" in told
    assert 1 == told.count("\n")


def said(event: dict) -> str:
    """The event alone."""
    return f"{event['event']}\n"


class Full(io.StringIO):
    """A file on a disk that is full until there is ``room``."""

    room = False

    def write(self, text: str) -> int:
        """Refuse."""
        if not self.room:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_log_that_cannot_be_written_stops_nobody():
    """The lines are lost and counted, the thread lives on and says so once it can."""
    full = Full()
    lines = LogLines(full, render=said)
    lines.take({"event": "lost"})
    lines.take({"event": "lost"})
    assert lines.drain()
    assert 2 == lines.dropped
    full.room = True
    lines.take({"event": "here"})
    assert lines.drain()
    assert '{"event": "log lines dropped", "count": 2}\nhere\n' == full.getvalue()


class Stuck(io.StringIO):
    """A pipe that nobody reads until ``release``."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.writing = threading.Event()

    def write(self, text: str) -> int:
        """Wait to be let."""
        self.writing.set()
        self.release.wait(20)
        return super().write(text)


def test_a_pipe_that_nobody_reads_stops_nobody():
    """What does not fit is dropped, and said once it can be."""
    stuck = Stuck()
    lines = LogLines(stuck, render=said, most=2)
    lines.take({"event": "first"})
    stuck.writing.wait(20)
    for number in range(5):
        lines.take({"event": f"{number}"})
    stuck.release.set()
    assert lines.drain(20)
    assert 3 == lines.dropped
    assert 'first\n{"event": "log lines dropped", "count": 3}\n0\n1\n' == stuck.getvalue()


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture):
    """The setting log.level decides."""
    lines = set_up_logs(LogSettings(format="json", level="warning"))
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert lines.drain()
    assert "loud" == json.loads(capsys.readouterr().err)["event"]


@pytest.mark.parametrize("wrong", [{"format": "yaml"}, {"level": "loud"}])
def test_other_words_are_refused_with_the_known_ones(wrong):
    """The message names the setting and what it takes."""
    with pytest.raises(SettingsError, match=rf"log\.{next(iter(wrong))} .* expected "):
        LogSettings(**wrong)


def test_a_line_that_cannot_be_made_takes_no_other_with_it():
    """A value whose own words raise: its line is dropped and counted, those around it are there."""
    file = io.StringIO()
    lines = LogLines(file, render=said)
    lines.take({"event": "before"})
    lines.take({})
    lines.take({"event": "after"})
    assert lines.drain()
    assert ("before\nafter\n", 1) == (file.getvalue(), lines.dropped)


SEVERAL = """
import os, sys, tempfile
import structlog
from tintype.log_setup import AmongSeveral, LogSettings, Turn, set_up_logs
file = tempfile.TemporaryFile()
among = [AmongSeveral(number=number, turn=Turn(file.fileno())) for number in range(4)]
made = []
for number in range(4):
    made.append(os.fork())
    if made[-1] == 0:
        lines = set_up_logs(LogSettings(format="json"), among=among[number])
        for line in range(300):
            structlog.get_logger().info("said", line=line, what="x" * (line * 50))
        lines.drain(60)
        os._exit(0)
for child in made:
    os.waitpid(child, 0)
"""
"""Four processes write 300 lines each into one pipe; most are longer than it keeps whole."""


def test_several_processes_write_whole_lines_into_one_pipe():
    """Each says which process wrote it."""
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {(process, line) for process in range(4) for line in range(300)} == {
        (line["process"], line["line"]) for line in lines
    }


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends; what is read does not wait."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)
    os.close(write)


@pytest.fixture
def turn(tmp_path) -> Iterator[Turn]:
    with (tmp_path / "turn").open("w") as file:
        yield Turn(file.fileno())


def test_who_must_not_wait_keeps_its_lines_while_nobody_reads(pipe, turn):
    """They are written when there is room."""
    read, write = pipe
    lines = WaitingLines(LogSettings(format="json"), file=write, turn=turn)
    os.set_blocking(write, False)
    filled = os.write(write, bytes(1 << 20))
    lines.add("error", "process ended", process=1)
    assert not lines.write()
    while filled:
        filled -= len(os.read(read, filled))
    assert lines.write()
    line = json.loads(os.read(read, 4096))
    assert ("process ended", 1, "error") == (line["event"], line["process"], line["level"])


def test_who_must_not_wait_keeps_its_lines_while_another_writes(pipe, tmp_path):
    """Its line would stand in the middle of the other's."""
    file = tmp_path / "turn"
    own = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{own}; sys.stdout.flush(); input()", file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.read(1)
        with file.open("w") as opened:
            lines = WaitingLines(
                LogSettings(format="json"), file=pipe[1], turn=Turn(opened.fileno())
            )
            lines.add("info", "process ready")
            assert not lines.write()
            other.communicate(b"\n")
            assert lines.write()


def test_lines_of_who_must_not_wait_have_a_level_too(pipe, turn):
    """The setting log.level holds for them."""
    lines = WaitingLines(LogSettings(format="json", level="error"), file=pipe[1], turn=turn)
    lines.add("info", "process ready")
    assert lines.write()
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)


def test_lines_that_were_dropped_are_told_by_who_dropped_them(turn):
    """One of several says which it is."""
    full = Full()
    lines = LogLines(full, render=said, among=AmongSeveral(number=3, turn=turn))
    lines.take({"event": "lost"})
    assert lines.drain()
    full.room = True
    lines.take({"event": "here"})
    assert lines.drain()
    assert '{"event": "log lines dropped", "count": 1, "process": 3}\nhere\n' == full.getvalue()
