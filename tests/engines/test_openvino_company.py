"""A small graph is compiled for who comes alone, and once more for those who come together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tintype.engines.catalog import load
from tintype.engines.engine import Engine, EngineOptions
from tintype.models.card_reader import read_card
from tintype.models.plan import plan_model

CARD = Path(__file__).resolve().parents[2] / "src/tintype/demo/models/cats-dogs/model.toml"


@pytest.fixture(scope="module")
def graph():
    return plan_model(read_card(CARD)).description.graph


@pytest.fixture
def engine(graph):
    made = load(graph, options=EngineOptions(threads=2))
    yield made
    made.close()


def ask_together(engine: Engine, batch, *, clients: int) -> list:
    """What each gets of some who ask at the same moment."""
    together = threading.Barrier(clients)

    def ask() -> np.ndarray:
        together.wait(10)
        return engine.run(batch)[0]

    with ThreadPoolExecutor(clients) as threads:
        return [each.result(60) for each in [threads.submit(ask) for _ in range(clients)]]


def noise(engine: Engine):
    """A picture."""
    sides = engine.input.shape[1:]
    return np.random.default_rng(7).random((1, *sides), np.float32)


def test_it_says_how_many_may_ask_from_the_start(engine):
    """The threads that ask are made once."""
    assert 2 == engine.streams


@pytest.mark.parametrize("widened", [False, True])
def test_those_who_come_together_get_the_answer_of_who_comes_alone(engine, widened):
    """To the last bit: which way a picture went must not show."""
    batch = noise(engine)
    alone = engine.run(batch)[0]
    if widened:
        engine.widen()
    for answer in ask_together(engine, batch, clients=4):
        np.testing.assert_array_equal(alone, answer)


def test_widening_again_does_nothing(engine):
    """One call a server, one a reload: it may come twice."""
    engine.widen()
    engine.widen()
    assert 1 == len(engine.run(noise(engine))[0])


def test_a_number_of_streams_is_kept_to(graph):
    """Who chose has chosen."""
    made = load(graph, options=EngineOptions(streams=3))
    made.widen()
    assert 3 == made.streams
    made.close()
