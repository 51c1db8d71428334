"""Whether scores mean what they say: of the answers with score 0.8, are 80 % right?

Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
ICML 2017: reliability diagrams, and the expected calibration error (ECE) over ten bins of equal
width, after M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities
using Bayesian binning", AAAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tintype.record.outcomes import ScoreBin


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """One bin of scores, (``low``, ``high``]: mean score beside the share that was right."""

    low: float
    high: float
    judged: int
    mean_score: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far scores and shares lie apart; None where nothing with a score was judged.

    ``error`` is the ECE, 0..1. ``bias`` is mean score minus share right, -1..1: above 0 the model
    is surer than it should be.
    """

    error: float | None
    bias: float | None
    bins: tuple[Reliability, ...]


def calibrate(bins: Sequence[ScoreBin]) -> Calibration:
    """Calibration out of counted bins; empty bins are left out."""
    full = [each for each in bins if each.judged]
    judged = sum(each.judged for each in full)
    if not judged:
        return Calibration(error=None, bias=None, bins=())
    gaps = [each.score_sum - each.right for each in full]
    return Calibration(
        error=sum(map(abs, gaps)) / judged,  # sum of n_b/n * |mean score - accuracy|
        bias=sum(gaps) / judged,
        bins=tuple(
            Reliability(
                low=each.low,
                high=each.high,
                judged=each.judged,
                mean_score=each.score_sum / each.judged,
                accuracy=each.right / each.judged,
            )
            for each in full
        ),
    )
