"""Pictures kept for a few minutes: bounded in number, bytes and time."""

from __future__ import annotations

import asyncio

import pytest

from tintype.types import ImageFacts, Prediction
from tintype.web.compat.policy import CompatPolicy
from tintype.web.compat.recent import RecentScores

PREDICTION = Prediction(
    id="1", image=ImageFacts(width=1, height=1, format="png", sha256=""), results=()
)


class Clock:
    """Tells the time it was set to."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def recent(clock: Clock | None = None, **changes: object) -> RecentScores:
    policy = CompatPolicy(enabled=True, score_bytes=100, score_pages=3, score_seconds=60)
    policy = CompatPolicy(**{**{n: getattr(policy, n) for n in policy.__slots__}, **changes})
    return RecentScores(policy, clock=clock or Clock())


async def test_what_was_put_is_there_under_its_id():
    """And under no other."""
    kept = recent()
    name = kept.put(b"picture", PREDICTION)
    assert b"picture" == kept.get(name).image
    assert kept.get(name + "x") is None


async def test_ids_are_not_to_be_guessed():
    """128 bits each, none alike."""
    kept = recent(score_pages=1000)
    names = {kept.put(b"", PREDICTION) for _ in range(500)}
    assert 500 == len(names)
    assert {22} == {len(name) for name in names}


async def test_the_oldest_go_when_there_are_too_many():
    """The newest stay."""
    kept = recent()
    names = [kept.put(b"p", PREDICTION) for _ in range(5)]
    assert [None, None, b"p", b"p", b"p"] == [
        scored and scored.image for scored in map(kept.get, names)
    ]


async def test_the_oldest_go_when_they_have_too_many_bytes():
    """Bytes are counted exactly."""
    kept = recent()
    first, second = kept.put(bytes(60), PREDICTION), kept.put(bytes(60), PREDICTION)
    assert (None, 60) == (kept.get(first), kept.held)
    assert 60 == len(kept.get(second).image)


async def test_a_picture_above_the_limit_is_not_kept_but_its_scores_are():
    """One huge picture throws nobody else's away."""
    kept = recent()
    small, huge = kept.put(b"small", PREDICTION), kept.put(bytes(101), PREDICTION)
    assert (b"small", b"") == (kept.get(small).image, kept.get(huge).image)


async def test_nothing_is_told_when_its_time_is_over():
    """To the second."""
    clock = Clock()
    kept = recent(clock)
    name = kept.put(b"p", PREDICTION)
    clock.now += 59.9
    assert kept.get(name) is not None
    clock.now += 0.2
    assert kept.get(name) is None


async def test_it_is_dropped_when_its_time_is_over_though_nobody_asks():
    """The loop's timer lets go of the bytes."""
    kept = recent(score_seconds=0.0)
    kept.put(b"p", PREDICTION)
    assert 1 == kept.held
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop
    assert 0 == kept.held


@pytest.mark.parametrize("pages", [0, 1])
async def test_the_last_one_is_always_there(pages):
    """A redirect must lead somewhere."""
    kept = recent(score_pages=pages)
    assert kept.get(kept.put(b"p", PREDICTION)) is not None
