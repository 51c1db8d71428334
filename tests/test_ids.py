"""Ids in the order of time."""

from __future__ import annotations

import os
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from tintype.ids import new_id


def test_an_id_is_32_hex_digits():
    """As it stands in addresses and in the record."""
    assert re.fullmatch(r"[0-9a-f]{32}", new_id())


def test_an_id_is_a_uuid_of_version_7():
    """A database that has a type for those takes it."""
    told = uuid.UUID(new_id())
    assert (7, uuid.RFC_4122) == (told.version, told.variant)


def test_an_id_begins_with_its_time():
    """In milliseconds, so that rows are added at the end of an index."""
    before = time.time_ns() // 1_000_000
    told = int(new_id()[:12], 16)
    assert before <= told <= time.time_ns() // 1_000_000


def test_no_two_are_alike():
    """Also where several threads ask."""
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: new_id(), range(4000)))
    assert 4000 == len(set(made))


def test_a_forked_process_makes_others():
    """What was made ahead belongs to the process that made it."""
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 32).decode() not in {new_id() for _ in range(1000)}
