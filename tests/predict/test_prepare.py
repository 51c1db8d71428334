"""A picture made ready: in the lane of its size, within its share of the memory, in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tintype.batching.gate import ByteGate
from tintype.cores import usable_cores
from tintype.engines.fake import PICTURES, FakeEngine
from tintype.errors import DeadlineExceeded
from tintype.imaging.decode import decoded_bytes
from tintype.imaging.header import Header, read_header
from tintype.imaging.limits import DecodeLimits
from tintype.predict import Lanes


@contextmanager
def busy_lane() -> Iterator[ThreadPoolExecutor]:
    """A lane whose only thread has work until the end."""
    release, begun = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as lane:
        lane.submit(lambda: (begun.set(), release.wait(20)))
        begun.wait(20)
        try:
            yield lane
        finally:
            release.set()


async def test_a_slow_picture_does_not_stand_before_a_quick_one(serving, host, red):
    """The slow lane has no thread left; an ordinary picture is answered all the same."""
    with busy_lane() as slow, ThreadPoolExecutor(1) as quick:
        async with serving(host(), lanes=Lanes(quick=quick, slow=slow)) as predictor:
            prediction = await predictor.predict(red)
    assert "red" == prediction.results[0].labels[0].label


@pytest.mark.parametrize(
    ("kind", "side", "scans", "lane"),
    [
        ("jpeg", 1000, 1, "quick"),
        ("jpeg", 3000, 1, "slow"),
        ("jpeg", 1000, 20, "slow"),
        ("png", 500, 1, "quick"),
        ("png", 1000, 1, "slow"),
        ("webp", 1000, 1, "slow"),
        ("gif", 1000, 1, "quick"),
    ],
)
def test_the_lane_goes_by_the_decoder_s_work(kind, side, scans, lane):
    """Pixels times passes over them, and what a pixel of its format costs."""
    header = Header(format=kind, width=side, height=side, scans=scans)
    with ThreadPoolExecutor(1) as quick, ThreadPoolExecutor(1) as slow:
        assert {"quick": quick, "slow": slow}[lane] is Lanes(quick=quick, slow=slow).of(header)


async def test_the_wait_for_a_decoder_ends_at_the_deadline(serving, host, red):
    """No thread is free to decode: 504 in time, and not when a thread becomes free."""
    with busy_lane() as lane:
        lanes = Lanes(quick=lane, slow=lane)
        async with serving(host(), host("other"), deadline=0.05, lanes=lanes) as predictor:
            with pytest.raises(DeadlineExceeded, match="decoded"):
                await predictor.predict(red)


async def test_who_runs_a_picture_alone_decodes_it_too(serving, host, red):
    """One model that runs pictures one by one: no thread is waited for but its own."""
    one = replace(PICTURES, shape=(1, *PICTURES.shape[1:]))
    alone = FakeEngine(pictures=one, streams=usable_cores())
    with busy_lane() as lane:
        lanes = Lanes(quick=lane, slow=lane)
        async with serving(host(engine=alone), lanes=lanes) as predictor:
            prediction = await predictor.predict(red)
    assert "red" == prediction.results[0].labels[0].label
    assert prediction.seconds.decode > 0


async def test_two_ways_of_decoding_need_the_memory_of_one(serving, host, red):
    """A picture that fits is not refused because two models want it decoded differently."""
    most = decoded_bytes(read_header(red.image, limits=DecodeLimits()))
    hosts = host("a"), host("b", recipe={"orientation": "ignore"})
    async with serving(*hosts, gate=ByteGate(most)) as predictor:
        prediction = await predictor.predict(red)
    assert ["a", "b"] == [result.model for result in prediction.results]
