"""Threads that compute stand back."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tintype.engines.stand_back import stand_back


def niceness() -> int:
    """Of this thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_this_thread_stands_back_and_the_others_do_not():
    """Those it starts do as well."""
    before = niceness()
    with ThreadPoolExecutor(1, initializer=stand_back, initargs=(before + 3,)) as thread:
        assert before + 3 == thread.submit(niceness).result(10)
        with thread.submit(ThreadPoolExecutor, 1).result(10) as inner:
            started = thread.submit(lambda: inner.submit(niceness).result(10))
            assert before + 3 == started.result(10)
    assert before == niceness()


def test_nothing_is_changed_by_zero():
    """For whoever switches it off."""
    before = niceness()
    stand_back(0)
    assert before == niceness()
