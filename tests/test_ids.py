"""Random ids."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from tintype.ids import new_id


def test_an_id_is_32_hex_digits():
    """As it stands in addresses and in the record."""
    assert re.fullmatch(r"[0-9a-f]{32}", new_id())


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
