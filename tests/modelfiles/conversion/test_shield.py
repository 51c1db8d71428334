"""A process that has shut itself in: what it can no longer do, tried from inside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tintype.modelfiles.conversion import shield

SOURCES = Path(shield.__file__).resolve().parents[3]

BEGIN = """
import sys
from pathlib import Path
from tintype.modelfiles.conversion.shield import Allowance, _guard, limit_use, shut_in
folder, model = Path(sys.argv[1]) / "scratch", Path(sys.argv[1]) / "model.h5"
limit_use(Allowance(memory_bytes=1 << 30, cpu_seconds=2, file_bytes=1 << 20))
"""
KERNEL = "said = shut_in(readable=model, folder=folder)\n"
HOOK = "sys.addaudithook(_guard(folder))\n"


@pytest.fixture
def run(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run lines of Python in a process that is shut in, in a folder with a secret."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "model.h5").write_text("model")
    (tmp_path / "id_rsa").write_text("secret")

    def start(code: str, *, way: str = KERNEL) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BEGIN + way + code, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(SOURCES)},
        )

    return start


CALL = """
import ctypes
NUMBERS = {
    "x86_64": {"tgkill": 234, "shmget": 29, "keyctl": 250},
    "aarch64": {"tgkill": 131, "shmget": 194, "keyctl": 219},
}
def call(name, *args):
    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(NUMBERS[os.uname().machine][name], *args) == -1:
        raise OSError(ctypes.get_errno(), name)
"""
"""A system call for which Python has no function."""

ALLOWED = {
    "stop itself": "import os, signal; signal.signal(10, print); signal.raise_signal(10)",
    "map a file": (
        "import mmap; (folder / 'm').write_bytes(bytes(4096));"
        "f = (folder / 'm').open('r+b'); mmap.mmap(f.fileno(), 4096).close()"
    ),
    "limit itself": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))",
    "read the model": "assert model.read_text() == 'model'",
    "write to the scratch folder": "(folder / 'a').write_text('x'); (folder / 'a').unlink()",
    "start a thread": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "import": "import numpy",
    "look up its own state": "open('/proc/self/status').read()",
}

REFUSED = {
    "write beside it": "(folder.parent / 'out').write_text('x')",
    "change the model": "model.write_text('x')",
    "remove the model": "model.unlink()",
    "open a socket": "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
    "start a program": "import subprocess; subprocess.run(['/bin/true'])",
}

REFUSED_BY_THE_KERNEL = {
    "read a secret": "(folder.parent / 'id_rsa').read_text()",
    "list the folder beside it": "list(folder.parent.iterdir())",
    "read the system's settings": "open('/etc/hostname').read()",
    "open a local socket": "import socket; socket.socket(socket.AF_UNIX)",
    "fork": "import os; os.fork()",
    "read its parent's environment": "import os; open(f'/proc/{os.getppid()}/environ').read()",
    "take memory that no limit counts": "import mmap; mmap.mmap(-1, 1 << 20)",
    "stop a thread of its parent": "import os\n" + CALL + "call('tgkill', os.getppid())",
    "limit its parent": (
        "import resource, os; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))"
    ),
    "keep memory in the kernel": (
        "import os\n" + CALL + "call('shmget', 0, ctypes.c_size_t(4096), 0o1600)"
    ),
    "make a file in memory": "import os; os.memfd_create('a')",
    "look into the keyring": "import os\n" + CALL + "call('keyctl', 0, -3, 0)",
    "replace itself": "import os; os.execv('/bin/true', ['true'])",
    "leave its session": "import os; os.setsid()",
    "stop its parent": "import os; os.kill(os.getppid(), 0)",
    "write through C": (
        "import ctypes; c = ctypes.CDLL(None, use_errno=True);"
        "n = c.open(str(folder.parent / 'out').encode(), 0o101, 0o600);"
        "import os; 1 if n >= 0 else (_ for _ in ()).throw(OSError(ctypes.get_errno(), 'no'))"
    ),
}


@pytest.fixture(scope="session")
def kernel() -> None:
    """Whether this machine's kernel can do it."""
    code = (
        "import tempfile; from pathlib import Path; t = Path(tempfile.mkdtemp());"
        "from tintype.modelfiles.conversion.shield import shut_in;"
        "print(shut_in(readable=t, folder=t))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(SOURCES)},
    ).stdout
    if "by the kernel (" not in said:
        pytest.skip("this kernel has no Landlock or no seccomp")


@pytest.mark.parametrize("way", [KERNEL, HOOK], ids=["kernel", "hook"])
@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed(what, way, run):
    """A framework needs this."""
    done = run(ALLOWED[what], way=way)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("way", [KERNEL, HOOK], ids=["kernel", "hook"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what, way, run):
    """Refused by the kernel, or by Python where there is no such kernel."""
    assert "PermissionError" in run(REFUSED[what], way=way).stderr


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("what", REFUSED_BY_THE_KERNEL)
def test_what_the_kernel_refuses(what, run):
    """More than Python could see."""
    assert "PermissionError" in run(REFUSED_BY_THE_KERNEL[what]).stderr


def test_memory_is_limited(run):
    """More than was allowed cannot be had."""
    assert "MemoryError" in run("bytearray(2 << 30)").stderr


def test_cpu_time_is_limited(run):
    """A loop ends by itself."""
    assert 0 > run("while True: pass").returncode


def test_files_are_limited(run):
    """No file grows beyond what was allowed."""
    assert 0 != run("(folder / 'a').write_bytes(bytes(2 << 20))").returncode


def test_what_keeps_it_in_is_told(run):
    """The words are for the summary."""
    assert "kept in by" in run("print(said)").stdout
