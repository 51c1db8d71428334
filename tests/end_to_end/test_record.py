"""The record of the real program: killed, on a full disk, exported."""

from __future__ import annotations

import http.client
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import tintype

ROOT = Path(__file__).resolve().parents[2]
TINTYPE = str(Path(sys.executable).parent / "tintype")
COLOURS = Path(tintype.__file__).parent / "demo/models/colours"
PICTURE = (Path(tintype.__file__).parent / "demo/pictures/colours.png").read_bytes()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
    """One request: status and JSON."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def rows(state: Path, query: str) -> list:
    with sqlite3.connect(state / "record.db") as connection:
        return connection.execute(query).fetchall()


def test_killed_under_load_nothing_acknowledged_is_lost():
    """SIGKILL, three times: every word that was acknowledged is there; what is missing is counted.

    No prediction answered more than a second before is missing.
    """
    script = [sys.executable, str(ROOT / "bench/kill_record.py"), "--kills", "3", "--seconds", "1"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=300)
    assert 0 == done.returncode, done.stderr
    sums = json.loads(done.stdout)
    assert (3, 0, 0) == (sums["kills"], sums["judged_missing"], sums["broken"])
    assert sums["judged"] > 0
    assert sums["missing"] <= sums["counted"]


def test_a_full_disk_stops_no_prediction(serving, tmp_path: Path):
    """Feedback is refused in words while nothing can be written; all is written afterwards."""
    with serving("serve", COLOURS, "--state", tmp_path) as server:
        port, pid = server.port, server.process.pid
        _, first = ask(port, "POST", "/api/predict", PICTURE)
        assert 200 == ask(port, "GET", f"/api/predictions/{first['id']}")[0]
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, most))
        statuses = {ask(port, "POST", "/api/predict", PICTURE)[0] for _ in range(5)}
        path = f"/api/predictions/{first['id']}/feedback"
        said, problem = ask(port, "PUT", path, b'{"correct": true}')
        assert ({200}, 503, "/problems/record-unavailable") == (statuses, said, problem["type"])
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        until = time.monotonic() + 30
        while ask(port, "PUT", path, b'{"correct": true}')[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
    assert [(6,)] == rows(tmp_path, "SELECT count(*) FROM predictions")
    assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM feedback")


def test_kept_pictures_are_exported_and_evaluated(serving, tmp_path: Path):
    """From an upload to a folder that tintype evaluate reads."""
    state, out = tmp_path / "state", tmp_path / "out"
    with serving("serve", COLOURS, "--state", state, TINTYPE_PICTURES_KEEP="true") as server:
        port = server.port
        _, told = ask(port, "POST", "/api/predict", PICTURE)
        path = f"/api/predictions/{told['id']}/feedback"
        assert 200 == ask(port, "PUT", path, b'{"label": "rose gold"}')[0]
    done = subprocess.run(
        [TINTYPE, "export", str(out), "--state", str(state)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stdout)
    assert f"written: 1 pictures and {out / 'labels.csv'}" in done.stderr
    (file,) = (out / "rose gold").iterdir()
    assert (state / "pictures" / file.name[:2] / file.name).read_bytes() == file.read_bytes()
    again = subprocess.run(
        [TINTYPE, "evaluate", str(COLOURS), str(out), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == again.returncode, again.stderr


def test_export_without_a_record_says_where_it_looked(tmp_path: Path):
    """One line, and the flag that helps."""
    done = subprocess.run(
        [TINTYPE, "export", str(tmp_path / "out"), "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 1 == done.returncode
    assert f"error: there is no record at {tmp_path / 'record.db'}\n" in done.stderr
    assert "--state" in done.stderr


def test_a_newer_record_stops_the_start_in_words(tmp_path: Path):
    """Before anything is listened to."""
    with sqlite3.connect(tmp_path / "record.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    done = subprocess.run(
        [TINTYPE, "serve", str(COLOURS), "--port", "0", "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 1 == done.returncode
    assert "written by a newer Tintype" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["predict", str(COLOURS)], ["inspect", str(COLOURS)]])
def test_what_is_no_server_records_nothing(tmp_path: Path, words: list[str]):
    """The command line leaves no state."""
    if words[0] == "predict":
        (tmp_path / "p.png").write_bytes(PICTURE)
        words = [*words, str(tmp_path / "p.png")]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run([TINTYPE, *words], check=False, env=environment, timeout=60)
    assert 0 == done.returncode
    assert not (tmp_path / "state").exists()
