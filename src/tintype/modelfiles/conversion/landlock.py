"""Landlock: a process gives up all files but a few. Linux 5.13 and later, no rights needed.

Interface: Linux ``include/uapi/linux/landlock.h`` and ``Documentation/userspace-api/landlock.rst``.
What is given up stays so for the process and all it starts.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""System calls, alike on every architecture."""

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _DEVICE = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_SIGNALS_AND_SOCKETS = 0b11


def keep_only(*, readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Give up every file but these and what lies below them; False where the kernel cannot.

    TCP and signals to other processes are given up too where the kernel knows how (6.7, 6.12).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    # Bits that came with the versions: 2 refer, 3 truncate, 5 device calls.
    everything = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    fields = [everything]
    fields += [0b11] if version >= 4 else []
    fields += [_SIGNALS_AND_SOCKETS] if version >= 6 else []
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        for path in readable:
            _allow(libc, rules, path, _READ | _LIST | _EXECUTE)
        for path in writable:
            _allow(libc, rules, path, everything)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        allowed = access if path.is_dir() else access & _OF_FILES
        rule = struct.pack("=Qi", allowed, place)
        libc.syscall(_ADD, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(place)
