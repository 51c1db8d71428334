"""Counting what a killed process leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tintype.record.ledger import Ledger, unsettled

CODE = """
import sys
from pathlib import Path
from tintype.record.ledger import Ledger
with Ledger(Path(sys.argv[1])) as ledger:
    ledger.taken(1000)
    ledger.settled(993)
    print("counted", flush=True)
    sys.stdin.read()
"""


def run(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_run_is_told_once_by_the_next(tmp_path: Path):
    """SIGKILL leaves the numbers to the system; a run that lives is left alone."""
    with run(tmp_path) as process:
        assert "counted\n" == process.stdout.readline()
        with Ledger(tmp_path) as ledger:
            assert 0 == ledger.take_lost()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert 7 == ledger.take_lost()
            assert 0 == ledger.take_lost()


def test_a_run_that_left_in_order_leaves_no_file(tmp_path: Path):
    """Everything was settled."""
    with Ledger(tmp_path) as ledger:
        ledger.taken(3)
        ledger.settled(3)
        assert 1 == len([*tmp_path.iterdir()])
    assert [] == [*tmp_path.iterdir()]


def test_a_run_that_left_with_unwritten_predictions_is_told(tmp_path: Path):
    """The database could not be reached until the end."""
    with Ledger(tmp_path) as ledger:
        ledger.taken(3)
    assert 3 == Ledger(tmp_path).take_lost()


def test_a_run_with_the_same_number_is_another_run(tmp_path: Path):
    """In a container every run is process 1: the next tells of the one before all the same."""
    with Ledger(tmp_path) as before:
        before.taken(3)
    with Ledger(tmp_path) as after:
        after.taken(5)
        assert 3 == after.take_lost()


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path):
    """Then it counts for nobody."""
    (tmp_path / "file").write_text("")
    with Ledger(tmp_path / "file/below") as ledger:
        ledger.taken(3)
        assert 0 == ledger.take_lost()


def test_a_damaged_file_counts_nothing(tmp_path: Path):
    """Cut short, or of nonsense."""
    (tmp_path / "run-1.count").write_bytes(b"12")
    assert 0 == Ledger(tmp_path).take_lost()
    assert 0 == unsettled(bytes(8) + b"\xff" * 8)
