"""The examples as they are started: the real program, in its own folder, on a free port."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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


def environment() -> dict[str, str]:
    """Ours, with the program on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


Start = Callable[[Path], Served]


@pytest.fixture(scope="module")
def start(serving) -> Iterator[Start]:
    """Start the example in a folder with its own command; it runs until the module is done."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with ExitStack() as stack:
        running: dict[Path, Served] = {}

        def start(folder: Path) -> Served:
            if folder not in running:
                words = shlex.split(start_command(folder))[1:]
                server = stack.enter_context(serving(*words, folder=folder))
                running[folder] = Served(folder=folder, address=server.address)
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
