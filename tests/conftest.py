"""What every test may ask for: the real files, a clean environment, the real program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tintype.worker import Worker

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no failure, and the same commit is judged the same way twice.
settings.register_profile("tintype", deadline=None, derandomize=True)
settings.load_profile("tintype")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real models and pictures; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("TINTYPE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set TINTYPE_TEST_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for the tests alone: nobody's keys are read, nothing of theirs is written."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder / "tintype"


@pytest.fixture
def family() -> Iterator[tuple[Worker, Worker]]:
    """Two processes of one family, which live in the test's own one, and the folder they meet in.

    Its name is short, as that of a socket must be.
    """
    with tempfile.TemporaryDirectory(prefix="tt-") as folder:
        yield tuple(Worker(number=number, of=2, folder=Path(folder)) for number in range(2))


@dataclass(frozen=True)
class Server:
    """The real program, ready: where it listens, and the lines it wrote until then."""

    address: str
    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def port(self) -> int:
        """Of the address."""
        return int(self.address.rpartition(":")[2])


@contextmanager
def _serving(
    *words: object, folder: Path | None = None, prefix: tuple[str, ...] = (), **variables: str
) -> Iterator[Server]:
    program = str(Path(sys.executable).with_name("tintype"))
    with subprocess.Popen(
        [*prefix, program, *map(str, words)],
        cwd=folder,
        env={**os.environ, "TINTYPE_SERVER_PORT": "0", **variables},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watch = threading.Timer(60, process.kill)
        watch.start()
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if found := re.match(r"ready: (http://\S+)", line):
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(lines))
            watch.cancel()
            # somebody must read the log, or the server would wait for room in the pipe
            threading.Thread(target=lambda: [*process.stderr], daemon=True).start()
            yield Server(address=found[1], process=process, lines=lines)
        finally:
            watch.cancel()
            process.terminate()
            process.wait(40)


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[Server]]:
    """Start ``tintype`` with these words on a free port, and wait until it is ready.

    ``folder`` is where it starts, ``prefix`` a command that starts it, further keywords are
    variables of its environment. It is told to leave at the end.
    """
    return _serving


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With TINTYPE_NO_SKIPS set, a skipped test fails the run: everything must be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TINTYPE_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
