"""Who makes processes and replaces them, with processes that do something short."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile

import pytest

from tintype.cli.family import how_it_ended, seconds_before
from tintype.cli.family_folder import family_folder
from tintype.cli.forking import Child, Reporter
from tintype.errors import ModelFileDamaged, SettingsError

PROGRAM = """
import os, signal, sys, time
from tintype.cli.app import main
from tintype.cli import app
from tintype.cli.family import Family
from tintype.log_setup import LogSettings

def serve(member):
    number = member.worker.number
    {serve}

def family(*_):
    said = lambda: print("ready", flush=True)
    Family(serve, of=2, log=LogSettings(), ready=said, close=lambda: None).run()

app.build_app = lambda *_: family
main()
"""


def started(serve: str) -> subprocess.Popen:
    """A family of two that do this."""
    body = "\n    ".join(serve.strip().splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(serve=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("short_lives", "seconds"), [(1, 0), (2, 1), (3, 2), (4, 4), (6, 16), (7, 30), (5000, 30)]
)
def test_who_ends_again_and_again_is_waited_with(short_lives, seconds):
    """Longer each time, and never longer than half a minute."""
    assert seconds == seconds_before(short_lives)


def test_how_a_process_ended_is_told_by_name():
    """A signal has one, and a status is a number."""
    status = os.waitpid(os.posix_spawn("/bin/false", ["false"], {}), 0)[1]
    assert {"status": 1} == how_it_ended(status)
    assert {"signal": "SIGKILL"} == how_it_ended(signal.SIGKILL)
    assert {"signal": "50"} == how_it_ended(50)


def test_who_does_not_leave_is_ended_by_the_third_interrupt():
    """As one process alone leaves at once then."""
    program = started("""
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"heard\\n"))
member.ready()
while True: signal.pause()
""")
    assert "ready\n" == program.stdout.readline()
    for _ in range(2):
        program.send_signal(signal.SIGINT)
        assert ["heard\n"] * 2 == [program.stdout.readline() for _ in range(2)]
    program.send_signal(signal.SIGINT)
    said, complained = program.communicate(timeout=30)
    assert (130, "", "") == (program.returncode, said, complained)


def test_one_that_ends_before_it_serves_ends_the_start():
    """With how it ended, and what may help."""
    program = started("""
if number: os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
member.ready()
while True: signal.pause()
""")
    said, complained = program.communicate(timeout=30)
    assert (1, "") == (program.returncode, said)
    assert "error: process 1 of 2 ended by SIGKILL before all could serve\nhint: " in complained


def test_the_first_that_ends_while_the_others_start_ends_the_start():
    """Nobody is left half way."""
    program = started("""
member.ready()
if number == 0: os._exit(3)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True: signal.pause()
""")
    said, complained = program.communicate(timeout=30)
    assert (1, "") == (program.returncode, said)
    assert "error: process 0 of 2 ended with status 3 before all could serve" in complained


def test_one_that_leaves_badly_is_told():
    """In the log and by the exit status, when all the others are done."""
    program = started("""
signal.signal(signal.SIGTERM, lambda *_: os._exit(3 * number))
member.ready()
while True: signal.pause()
""")
    assert "ready\n" == program.stdout.readline()
    program.terminate()
    _, complained = program.communicate(timeout=30)
    assert 1 == program.returncode
    assert '"process":1' in complained
    assert '"status":3' in complained


def test_an_interrupt_during_the_start_is_no_error():
    """Status 130, as shells say of it, and no word."""
    program = started("""
print("begun", flush=True)
while True: signal.pause()
""")
    assert "begun\n" == program.stdout.readline()
    program.send_signal(signal.SIGINT)
    said, complained = program.communicate(timeout=30)
    assert (130, "", "") == (program.returncode, said, complained)


def test_the_folder_is_private_locked_and_removed():
    """Also with something in it."""
    with family_folder() as folder:
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
        (folder / "0.sock").touch()
        tried = subprocess.run(["flock", "--nonblock", folder, "true"], check=False)
        assert 1 == tried.returncode
    assert not folder.exists()


def test_the_folder_has_a_short_path_where_the_usual_one_is_long(tmp_path, monkeypatch):
    """Sockets in it could not be reached otherwise."""
    place = tmp_path / ("x" * 100)
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with family_folder() as folder:
        assert len(os.fsencode(folder)) < 60


def test_a_folder_that_cannot_be_made_is_told(monkeypatch):
    """With the place, and how to name another."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(SettingsError, match=r"need a folder in /nowhere") as told, family_folder():
        pass
    assert "TMPDIR" in told.value.hint


def test_a_report_is_read_when_it_is_whole_and_told_once():
    """The words of a designed error reach the one who made the process."""
    reports, reporting = os.pipe()
    os.set_blocking(reports, False)
    child, reporter = Child(1, reports), Reporter(reporting)
    assert child.read() is None
    assert reporter.failed(ModelFileDamaged("cut short", hint="copy it again"))
    assert not reporter.failed(OSError("late"))
    report = child.read()
    assert (False, "cut short", "copy it again") == (report.ready, report.error, report.hint)
    assert child.read() is None
