"""Seccomp: a process gives up sockets, programs, processes and the memory of others.

Interface: Linux ``include/uapi/linux/seccomp.h``, ``filter.h`` and ``audit.h``; numbers of system
calls from ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_LOAD_WORD, _JUMP_EQUAL, _JUMP_SET, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_THREAD = 0x00010000
_X32 = 0x40000000

_CLONE3 = 435
_ARCHITECTURES: dict[str, tuple[int, int, tuple[int, ...]]] = {
    # socket, connect, bind, ptrace, fork, vfork, execve, execveat, setsid, kill,
    # pidfd_send_signal, io_uring_setup, process_vm_readv, process_vm_writev, mount, unshare, setns
    "x86_64": (
        0xC000003E,
        56,
        (41, 42, 49, 101, 57, 58, 59, 322, 112, 62, 424, 425, 310, 311, 165, 272, 308),
    ),
    # the same without fork and vfork, which it does not have
    "aarch64": (
        0xC00000B7,
        220,
        (198, 203, 200, 117, 221, 281, 157, 129, 424, 425, 270, 271, 40, 97, 268),
    ),
}
"""For each machine its audit number, its ``clone``, and the calls that are refused."""


def give_up_calls() -> bool:
    """Refuse these system calls from now on; False where the kernel or the machine cannot.

    Threads stay possible. Must be called while the process has one thread.
    """
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return False
    program = _program(*known)
    libc = ctypes.CDLL(None, use_errno=True)
    held = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are.
    whole = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, whole, 0, 0) == 0)


def _program(architecture: int, clone: int, refused: tuple[int, ...]) -> bytes:
    steps = [
        _step(_LOAD_WORD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD_WORD, _NUMBER),
        *_refuse(_JUMP_AT_LEAST, _X32, errno.EPERM),
        # A C library that may not call clone3 falls back to clone, whose flags can be looked at.
        *_refuse(_JUMP_EQUAL, _CLONE3, errno.ENOSYS),
    ]
    for number in refused:
        steps += _refuse(_JUMP_EQUAL, number, errno.EPERM)
    steps += [
        _step(_JUMP_EQUAL, clone, 0, 3),
        _step(_LOAD_WORD, _FIRST_ARGUMENT),
        _step(_JUMP_SET, _THREAD, 1, 0),
        _step(_RETURN, _ERROR | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def _refuse(jump: int, number: int, error: int) -> list[bytes]:
    return [_step(jump, number, 0, 1), _step(_RETURN, _ERROR | error)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """The struct sock_filter."""
    return struct.pack("=HBBI", code, if_true, if_false, value)
