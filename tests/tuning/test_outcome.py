"""What a tuning comes to."""

from __future__ import annotations

import pytest

from tintype.tuning.candidates import Candidate
from tintype.tuning.choice import Aim, Speed
from tintype.tuning.outcome import Outcome

BASE, LAYOUT, BATCHED = Candidate(), Candidate(streams=2), Candidate(streams=2, batch=4)


def speed(ratio: float, *, base: float) -> Speed:
    """So many times as fast as a base that answers ``base`` pictures a second."""
    return Speed(
        throughputs=(ratio,) * 7,
        alones=(ratio,) * 7,
        a_second=base * ratio,
        alone_seconds=1 / (base * ratio),
    )


def test_candidates_of_both_comparisons_are_told_beside_one_base():
    """The machine was half as fast while the layouts were compared: no line of them shows it."""
    outcome = Outcome(
        aim=Aim.THROUGHPUT,
        base=BASE,
        kept=BATCHED,
        layouts={BASE: speed(1.0, base=100), LAYOUT: speed(1.5, base=100)},
        speeds={BASE: speed(1.0, base=200), BATCHED: speed(1.2, base=200)},
    )
    rates = {candidate: each.a_second for candidate, each in outcome.all_speeds.items()}
    assert pytest.approx({BASE: 200.0, LAYOUT: 300.0, BATCHED: 240.0}) == rates
    assert pytest.approx(1 / 300) == outcome.all_speeds[LAYOUT].alone_seconds
