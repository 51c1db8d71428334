"""Things lent to one thread each."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tintype.engines.pool import Pool
from tintype.errors import EngineFailed


def test_lends_each_item_to_one_at_a_time():
    """Two items, two holders, two different things; they come back."""
    pool = Pool(["a", "b"])

    with lend(pool) as one, lend(pool) as other:
        assert {"a", "b"} == {one, other}

    with lend(pool) as again:
        assert again in {"a", "b"}


def test_an_item_comes_back_after_an_error():
    """Else the pool would run dry."""
    pool = Pool(["only"])
    with pytest.raises(KeyError), lend(pool):
        raise KeyError

    with lend(pool) as item:
        assert "only" == item


def test_closing_wakes_every_waiting_thread():
    """Each is told that the engine is closed, also when the item comes back later."""
    pool = Pool(["only"])
    ready = threading.Barrier(4)

    def wait() -> str:
        ready.wait(10)
        try:
            with lend(pool):
                return "got it"
        except EngineFailed as error:
            return error.message

    with ThreadPoolExecutor(3) as threads:
        with lend(pool):
            waiting = [threads.submit(wait) for _ in range(3)]
            ready.wait(10)
            pool.close()
            pool.close()
        answers = [future.result(10) for future in waiting]

    assert all("closed" in answer for answer in answers)
    with pytest.raises(EngineFailed, match="closed"), lend(pool):
        pass


def test_one_is_for_who_comes_alone():
    """Others get one of the rest; when all are back it is lent again."""
    pool = Pool(["side", "by side"], alone="alone")
    with lend(pool) as first, lend(pool) as second, lend(pool) as third:
        assert ("alone", {"side", "by side"}) == (first, {second, third})
    with lend(pool) as again:
        assert "alone" == again


def test_who_comes_while_another_works_does_not_get_the_one_for_those_alone():
    """It would take the processors of the other."""
    pool = Pool(["side"], alone="alone")
    with lend(pool) as first:
        with lend(pool) as second:
            pass
        with lend(pool) as third:
            pass
    assert ("alone", "side", "side") == (first, second, third)


def test_who_makes_something_ready_is_company_to_others():
    """The one for those alone would take the processors on which it is made."""
    pool = Pool(["side", "by side"], alone="alone")

    ran: list[str] = []

    with lend(pool, lambda: ran.append(_lent(pool))) as first:
        assert (["side"], "alone") == (ran, first)


def test_what_is_borrowed_for_is_made_before_the_wait():
    """So a thread has work while every item is lent, and the next to come back finds it ready."""
    pool = Pool(["only"])
    made = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        with lend(pool):
            waiting = threads.submit(lambda: _lent(pool, made.set))
            assert made.wait(10)
            assert not waiting.done()
        assert "only" == waiting.result(10)


def test_who_fails_to_make_it_ready_leaves_no_trace():
    """The next is alone again."""
    pool = Pool(["side"], alone="alone")

    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError), lend(pool, fail):
        pass

    assert "alone" == _lent(pool)


def test_before_there_is_more_than_one_others_wait():
    """And get what is added."""
    pool = Pool([], alone="alone")
    with ThreadPoolExecutor(1) as threads, lend(pool):
        waiting = threads.submit(lambda: _lent(pool))
        pool.add(["added"])
        assert "added" == waiting.result(10)


def test_what_is_added_to_a_closed_pool_is_let_go():
    """A pool may be closed while more is being made."""
    pool = Pool([], alone="alone")
    pool.close()
    pool.add(["late"])
    with pytest.raises(EngineFailed, match="closed"), lend(pool):
        pass


def _lent(pool: Pool[str], ready: Callable[[], object] = lambda: None) -> str:
    with lend(pool, ready) as item:
        return item


@contextlib.contextmanager
def lend(pool: Pool[str], ready: Callable[[], object] = lambda: None) -> Iterator[str]:
    """What the pool lends, where nothing is to be made ready."""
    with pool.lend(ready) as (item, _):
        yield item
