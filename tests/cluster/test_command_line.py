"""``tintype serve --on ray`` from its start to Ctrl-C, on a Ray of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil
import pytest

import tintype

DEMO = Path(tintype.__file__).parent / "demo"


@pytest.fixture
def short():
    """A folder with a short path, for Ray's sockets."""
    folder = tempfile.mkdtemp(dir="/tmp", prefix="tt")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_it_serves_until_ctrl_c_and_leaves_nothing_behind(short, tmp_path):
    """More deployments than cores must not stand in the way; a damaged file is left out, told."""
    models = tmp_path / "models"
    shutil.copytree(DEMO / "models", models)
    (models / "half.keras").write_bytes((models / "colours/model.keras").read_bytes()[:5000])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("tintype")
    process = subprocess.Popen(
        [program, "serve", models, "--on", "ray", "--port", str(port), "--state", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_TMPDIR": short},
    )
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("ready:"):
                break
        assert any(line.startswith("left out: half") for line in lines), lines
        picture = (DEMO / "pictures/cat.jpg").read_bytes()
        url = f"http://127.0.0.1:{port}/api/predict"
        with urllib.request.urlopen(url, data=picture, timeout=30) as response:
            results = json.loads(response.read())["results"]
        assert [("cats-dogs", None), ("colours", None)] == [
            (each["model"], each["error"]) for each in results
        ]
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert (0, "", "") == (process.returncode, output, errors)
        assert [] == psutil.wait_procs(started, timeout=20)[1]
    finally:
        left = (
            psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        )
        for each in left:
            each.kill()
        process.kill()
        process.communicate()


def test_a_taken_port_is_told_before_ray_starts():
    """In a second and in words; Ray would take twenty, and end in a traceback."""
    program = Path(sys.executable).with_name("tintype")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [program, "serve", DEMO / "models", "--on", "ray", "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert 1 == done.returncode
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {port}")
    assert "Traceback" not in done.stderr
