"""What is tried, and in which order of simplicity."""

from __future__ import annotations

from pathlib import Path

import pytest

from tintype.engines.engine import EngineOptions
from tintype.models.card import Tuned
from tintype.tuning.candidates import Candidate, base_of, layouts, others

BASE = Candidate()


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [(0, 1)]),
        (2, [(0, 1), (0, 2), (1, 1)]),
        (8, [(0, 1), (0, 2), (0, 4), (0, 8), (1, 1), (4, 1)]),
    ],
)
def test_layouts_follow_the_cores(cores: int, expected: list[tuple[int, int]]):
    """Threads and streams: the base first, nothing twice, never more than there are cores."""
    assert expected == [(each.threads, each.streams) for each in layouts(BASE, cores=cores)]


def test_the_base_is_what_the_settings_say():
    """Also where it is none of the usual layouts."""
    base = base_of(EngineOptions(threads=3, streams=5))
    assert base == layouts(base, cores=2)[0]
    assert (3, 5) == (base.threads, base.streams)


def test_precisions_come_after_f32_and_batches_after_single_pictures():
    """The simplest first: what comes later must be faster to be kept."""
    layout = Candidate(streams=2)
    tried = others(BASE, layout, precisions=("f32", "int8"), most_batch=8)
    assert [
        ("f32", 1, 1),
        ("f32", 2, 1),
        ("f32", 2, 4),
        ("f32", 2, 8),
        ("int8", 2, 1),
        ("int8", 2, 4),
        ("int8", 2, 8),
    ] == [(each.precision, each.streams, each.batch) for each in tried]


def test_no_batch_is_tried_that_no_server_would_make():
    """``batching.max_batch`` bounds them."""
    assert (BASE,) == others(BASE, BASE, precisions=("f32",), most_batch=1)
    assert [1, 4] == [each.batch for each in others(BASE, BASE, precisions=("f32",), most_batch=7)]


def test_only_int8_has_a_graph_of_its_own():
    """bf16 is the engine's matter."""
    graph = Path("m.int8.xml")
    assert Tuned(precision="int8", graph=graph) == Candidate(precision="int8").tuned(graph)
    assert Tuned(precision="bf16", streams=2) == Candidate(precision="bf16", streams=2).tuned(graph)


def test_a_candidate_in_words():
    """As the table and the card tell it."""
    way = Candidate(precision="int8", threads=1, streams=2, batch=4)
    assert "int8, 2 streams on 1 thread, batches of 4" == way.words
    assert "f32, 1 stream on all cores" == BASE.words
