"""Many ask at once, and the model hangs: nobody waits for a turn that does not come."""

from __future__ import annotations

import asyncio
import time

from tintype.errors import DeadlineExceeded


async def test_a_crowd_before_a_hanging_model_is_told_its_fallback(serving, host, red, hanging):
    """Also those for whom no turn came: a model with a fallback always has an answer."""
    gate, engine = hanging()
    async with serving(host("slow", engine, fallback=("red",)), deadline=0.3) as predictor:
        asked = [predictor.predict(red) for _ in range(40)]
        predictions = await asyncio.gather(*asked, return_exceptions=True)
        gate.open()
    assert {True} == {getattr(each, "results", [each])[0].fallback for each in predictions}


async def test_a_crowd_waits_no_longer_than_the_card_allows(serving, host, red, hanging):
    """The time in which others have their turn counts."""
    gate, engine = hanging()
    async with serving(host("slow", engine, deadline_seconds=0.2)) as predictor:
        asked = [predictor.predict(red) for _ in range(80)]
        begun = time.monotonic()
        late = await asyncio.gather(*asked, return_exceptions=True)
        seconds = time.monotonic() - begun
        gate.open()
    assert {DeadlineExceeded} == {type(each) for each in late}
    assert seconds < 3 * 0.2


async def test_a_crowd_before_a_hanging_model_is_told_the_fallback_of_an_absent_one(
    serving, host, red, hanging, gone
):
    """It has nothing to wait for."""
    gate, engine = hanging()
    async with serving(host(engine=engine), deadline=0.3, absent=(gone,)) as predictor:
        asked = [predictor.predict(red) for _ in range(20)]
        predictions = await asyncio.gather(*asked, return_exceptions=True)
        gate.open()
    assert {2} == {len(getattr(each, "results", ())) for each in predictions}
