"""Which candidate is kept."""

from __future__ import annotations

from tintype.tuning.candidates import Candidate
from tintype.tuning.choice import Aim, Speed, choose, clearly_faster

BASE, STREAMS, INT8 = Candidate(), Candidate(streams=2), Candidate(precision="int8", streams=2)
ORDER = (BASE, STREAMS, INT8)


def speed(many: float, alone: float = 1.0) -> Speed:
    """The same ratio in every round."""
    return Speed(throughputs=(many,) * 7, alones=(alone,) * 7, a_second=many, alone_seconds=1.0)


def kept(*speeds: Speed, aim: Aim = Aim.THROUGHPUT) -> Candidate:
    return choose(dict(zip(ORDER, speeds, strict=True)), order=ORDER, aim=aim)


def test_the_fastest_is_kept():
    """Where it is faster by far."""
    assert INT8 == kept(speed(1.0), speed(1.4), speed(2.0))


def test_a_little_faster_is_not_worth_it():
    """Less than 5 % over the simpler one that was kept."""
    assert STREAMS == kept(speed(1.0), speed(1.4), speed(1.46))
    assert BASE == kept(speed(1.0), speed(1.04), speed(1.0))


def test_the_aim_decides():
    """Two streams answer more pictures, one stream answers one sooner."""
    speeds = (speed(1.0, 1.0), speed(1.5, 0.7), speed(1.5, 1.2))
    assert STREAMS == kept(*speeds)
    assert INT8 == kept(*speeds, aim=Aim.LATENCY)


def test_what_was_not_measured_is_passed_over():
    """A candidate that could not be loaded."""
    assert INT8 == choose({BASE: speed(1), INT8: speed(2)}, order=ORDER, aim=Aim.THROUGHPUT)


def test_luck_in_half_of_the_rounds_is_not_enough():
    """A noisy machine makes some rounds look good; all but one must be."""
    lucky = (0.9, 0.95, 1.5, 1.6, 1.4, 1.7, 1.5)
    assert not clearly_faster(lucky, than=(1.0,) * 7)
    assert clearly_faster((0.9, *lucky[2:], 1.3), than=(1.0,) * 7)


def test_rounds_are_compared_with_each_other():
    """Both were slow in the same round: that says nothing against either."""
    assert clearly_faster((1.2, 0.6, 1.2), than=(1.0, 0.5, 1.0))
