"""The examples as they are started: the real program, in its own folder, on a free port."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PICTURES = ROOT / "src/tintype/demo/pictures"
_HOST = re.compile(r"(?:127\.0\.0\.1|localhost):\d+")


def start_command(folder: Path) -> str:
    """The one command of an example's page."""
    (command,) = re.findall(r"^tintype serve .*$", (folder / "README.md").read_text(), re.MULTILINE)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running example: its folder, and where it listens."""

    folder: Path
    address: str

    def run(self, command: str) -> str:
        """Run a line of a shell in the folder, with the host changed. Returns what it printed."""
        changed = _HOST.sub(self.address.removeprefix("http://"), command)
        done = subprocess.run(
            ["bash", "-c", changed],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout


def environment(**more: str) -> dict[str, str]:
    """Ours, with the program on the path and any free port."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TINTYPE_SERVER_PORT": "0", **more}


@contextmanager
def serving(folder: Path, command: str) -> Iterator[Served]:
    """The example while it runs."""
    program = [shutil.which("tintype", path=environment()["PATH"]), *shlex.split(command)[1:]]
    with subprocess.Popen(
        program, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = _address(process)
            # Its log lines are more than a pipe holds.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Served(folder=folder, address=address)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    told = []
    for line in process.stderr:
        told.append(line)
        if found := re.search(r"ready: (http://\S+)", line):
            return found[1]
    pytest.fail("the example did not start:\n" + "".join(told))


Start = Callable[[Path], Served]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start the example in a folder with its own command; it runs until the module is done."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with ExitStack() as stack:
        running: dict[Path, Served] = {}

        def start(folder: Path) -> Served:
            if folder not in running:
                running[folder] = stack.enter_context(serving(folder, start_command(folder)))
            return running[folder]

        yield start


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def pictures() -> Path:
    return PICTURES


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str, dict[str, str]], Path]:
    """Copies an example, with changes to its files: a model of one's own, say."""

    def copy(name: str, changes: dict[str, str]) -> Path:
        folder = shutil.copytree(EXAMPLES / name, tmp_path / "examples" / name)
        (tmp_path / "src").symlink_to(ROOT / "src")  # cards name the bundled models from here
        for file, text in changes.items():
            (folder / file).write_text(text)
        return folder

    return copy
