"""Things lent to one thread each."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tintype.engines.pool import Pool
from tintype.errors import EngineFailed


def test_lends_each_item_to_one_at_a_time():
    """Two items, two holders, two different things; they come back."""
    pool = Pool(["a", "b"])

    with pool.lend() as one, pool.lend() as other:
        assert {"a", "b"} == {one, other}

    with pool.lend() as again:
        assert again in {"a", "b"}


def test_an_item_comes_back_after_an_error():
    """Else the pool would run dry."""
    pool = Pool(["only"])
    with pytest.raises(KeyError), pool.lend():
        raise KeyError

    with pool.lend() as item:
        assert "only" == item


def test_closing_wakes_every_waiting_thread():
    """Each is told that the engine is closed, also when the item comes back later."""
    pool = Pool(["only"])
    ready = threading.Barrier(4)

    def wait() -> str:
        ready.wait(10)
        try:
            with pool.lend():
                return "got it"
        except EngineFailed as error:
            return error.message

    with ThreadPoolExecutor(3) as threads:
        with pool.lend():
            waiting = [threads.submit(wait) for _ in range(3)]
            ready.wait(10)
            pool.close()
            pool.close()
        answers = [future.result(10) for future in waiting]

    assert all("closed" in answer for answer in answers)
    with pytest.raises(EngineFailed, match="closed"), pool.lend():
        pass


def test_one_is_for_who_comes_alone():
    """Others get one of the rest; when all are back it is lent again."""
    pool = Pool(["side", "by side"], alone="alone")
    with pool.lend() as first, pool.lend() as second, pool.lend() as third:
        assert ("alone", {"side", "by side"}) == (first, {second, third})
    with pool.lend() as again:
        assert "alone" == again


def test_who_comes_while_another_works_does_not_get_the_one_for_those_alone():
    """It would take the processors of the other."""
    pool = Pool(["side"], alone="alone")
    with pool.lend() as first:
        with pool.lend() as second:
            pass
        with pool.lend() as third:
            pass
    assert ("alone", "side", "side") == (first, second, third)


def test_before_there_is_more_than_one_others_wait():
    """And get what is added."""
    pool = Pool([], alone="alone")
    with ThreadPoolExecutor(1) as threads, pool.lend():
        waiting = threads.submit(lambda: _lent(pool))
        pool.add(["added"])
        assert "added" == waiting.result(10)


def test_what_is_added_to_a_closed_pool_is_let_go():
    """A pool may be closed while more is being made."""
    pool = Pool([], alone="alone")
    pool.close()
    pool.add(["late"])
    with pytest.raises(EngineFailed, match="closed"), pool.lend():
        pass


def _lent(pool: Pool[str]) -> str:
    with pool.lend() as item:
        return item
