"""Seccomp: a process gives up sockets, programs, processes and the memory of others.

Interface: Linux ``include/uapi/linux/seccomp.h``, ``filter.h`` and ``audit.h``; numbers of system
calls from ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

_LOAD_WORD, _JUMP_EQUAL, _JUMP_SET, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _ARGUMENT = 0, 4, 16, 8
_AND = 0x54
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_THREAD = 0x00010000
_X32 = 0x40000000

_CLONE3 = 435
_SHARED_AND_NAMELESS = 0x21
"""MAP_SHARED and MAP_ANONYMOUS: memory that no limit counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """Numbers of system calls. ``refused`` are refused whatever their arguments."""

    audit: int
    clone: int
    mmap: int
    tgkill: int
    prlimit: int
    refused: tuple[int, ...]


_MACHINES = {
    # socket, connect, bind, ptrace, fork, vfork, execve, execveat, setsid, kill, tkill,
    # rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal, pidfd_getfd, io_uring_setup,
    # process_vm_readv, process_vm_writev, mount, umount2, move_mount, fsopen, pivot_root, chroot,
    # unshare, setns, shmget, memfd_create, memfd_secret, add_key, request_key, keyctl, bpf,
    # perf_event_open, userfaultfd, init_module, finit_module, kexec_load, reboot
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        mmap=9,
        tgkill=234,
        prlimit=302,
        refused=(41, 42, 49, 101, 57, 58, 59, 322, 112, 62, 200, 129, 297, 424, 438, 425, 310, 311,
                 165, 166, 429, 430, 155, 161, 272, 308, 29, 319, 447, 248, 249, 250, 321, 298,
                 323, 175, 313, 246, 169),
    ),
    # the same without fork and vfork, which it does not have
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        mmap=222,
        tgkill=131,
        prlimit=261,
        refused=(198, 203, 200, 117, 221, 281, 157, 129, 130, 138, 240, 424, 438, 425, 270, 271,
                 40, 39, 429, 430, 41, 51, 97, 268, 194, 279, 447, 217, 218, 219, 280, 241, 282,
                 105, 273, 104, 142),
    ),
}  # fmt: skip
"""By the machine's name. Linux, arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h."""


def give_up_calls() -> bool:
    """Refuse these system calls from now on; False where the kernel or the machine cannot.

    Threads stay possible. Must be called while the process has one thread.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return False
    program = _program(known)
    libc = ctypes.CDLL(None, use_errno=True)
    held = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are.
    whole = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, whole, 0, 0) == 0)


def _program(machine: _Machine) -> bytes:
    steps = [
        _step(_LOAD_WORD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, machine.audit, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD_WORD, _NUMBER),
        *_refuse(_JUMP_AT_LEAST, _X32, errno.EPERM),
        # A C library that may not call clone3 falls back to clone, whose flags can be looked at.
        *_refuse(_JUMP_EQUAL, _CLONE3, errno.ENOSYS),
    ]
    for number in machine.refused:
        steps += _refuse(_JUMP_EQUAL, number, errno.EPERM)
    # Signals to its own threads and limits of its own alone; no memory that no limit counts.
    steps += _refuse_unless(machine.tgkill, os.getpid())
    steps += _refuse_unless(machine.prlimit, 0)
    steps += [
        _step(_JUMP_EQUAL, machine.mmap, 0, 5),
        _step(_LOAD_WORD, _FIRST_ARGUMENT + 3 * _ARGUMENT),
        _step(_AND, _SHARED_AND_NAMELESS),
        *_refuse(_JUMP_EQUAL, _SHARED_AND_NAMELESS, errno.EPERM),
        _step(_RETURN, _ALLOW),
        _step(_JUMP_EQUAL, machine.clone, 0, 3),
        _step(_LOAD_WORD, _FIRST_ARGUMENT),
        _step(_JUMP_SET, _THREAD, 1, 0),
        _step(_RETURN, _ERROR | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _refuse(jump: int, number: int, error: int) -> list[bytes]:
    return [_step(jump, number, 0, 1), _step(_RETURN, _ERROR | error)]


def _refuse_unless(number: int, argument: int) -> list[bytes]:
    """The call ``number`` with any first argument but ``argument``."""
    return [
        _step(_JUMP_EQUAL, number, 0, 4),
        _step(_LOAD_WORD, _FIRST_ARGUMENT),
        _step(_JUMP_EQUAL, argument, 1, 0),
        _step(_RETURN, _ERROR | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """The struct sock_filter."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
