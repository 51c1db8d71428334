"""A process shuts itself in before it runs a stranger's code.

With Landlock and seccomp (Linux) the kernel keeps it in. Elsewhere an audit hook refuses the same
things inside Python: it stops accidents and simple tricks, and no one who knows ctypes.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tintype.modelfiles.conversion.landlock import keep_only
from tintype.modelfiles.conversion.seccomp import give_up_calls

_SYSTEM = ("/usr", "/lib", "/lib64", "/sys", "/bin", "/opt", "/nix/store")
_OF_ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "passwd")
"""Where libraries lie, the time zone, and the name of the person."""
_OF_PROC = ("self", "sys", "cpuinfo", "meminfo", "stat", "version", "loadavg", "filesystems")
"""What a framework looks up; the folders of other processes hold their environment."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED_EVENTS = ("socket.", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pty.")
_CHANGES = frozenset(
    {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What the process may use: bytes of memory of its own, seconds of CPU, bytes of a file."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int


def limit_use(allowance: Allowance) -> None:
    """Hold this process to ``allowance``.

    Memory is RLIMIT_DATA, private writable memory: TensorFlow reserves far more addresses than it
    uses, so that RLIMIT_AS would have to be wide to be of any use.
    """
    for kind, most in (
        (resource.RLIMIT_DATA, allowance.memory_bytes),
        (resource.RLIMIT_CPU, allowance.cpu_seconds),
        (resource.RLIMIT_FSIZE, allowance.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def shut_in(*, readable: Path, folder: Path) -> str:
    """Leave this process nothing to write but ``folder``, no network and no other process.

    It may read ``readable``, the system's own folders and Python's. Returns what keeps it in, in
    words. Must be called before anything starts a thread.
    """
    python = {Path(entry).resolve() for entry in (*sys.path, sys.prefix, sys.base_prefix) if entry}
    system = [Path(name) for name in _SYSTEM]
    system += [Path("/etc", name) for name in _OF_ETC]
    system += [Path("/proc", name).resolve() for name in _OF_PROC]
    devices = [Path(name) for name in _DEVICES]
    linux = sys.platform == "linux"
    files = linux and keep_only(
        readable=[readable, *system, *sorted(python)], writable=[folder, *devices]
    )
    calls = linux and give_up_calls()
    if files and calls:
        return "kept in by the kernel (Landlock, seccomp)"
    sys.addaudithook(_guard(folder))
    kernel = " and in part by the kernel" if files or calls else ""
    return f"kept in by Python's audit hook{kernel}: no match for code that is out to escape"


def _guard(folder: Path) -> Callable[[str, tuple[Any, ...]], None]:
    def guard(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED_EVENTS):
            raise PermissionError(f"{event} is not allowed while a model is converted")
        if event == "open":
            name, _, flags = args
            if isinstance(flags, int) and flags & _WRITING and not _inside(name, folder):
                raise PermissionError(f"writing {name} is not allowed while a model is converted")
        elif event in _CHANGES and not _inside(args[0], folder):
            raise PermissionError(f"{event} is not allowed while a model is converted")

    return guard


def _inside(name: Any, folder: Path) -> bool:
    if not isinstance(name, str | bytes):
        return True  # a descriptor that is open already
    path = os.path.realpath(os.fsdecode(name))
    return path == "/dev/null" or path.startswith(f"{folder}{os.sep}")
