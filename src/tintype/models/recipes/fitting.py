"""Fits what is not known of the training pictures, for all scales at once.

Four things differ from one training to another: the pictures' sharpness (the family of
statistics), contrast and brightness, and how much the moving averages still hold of their start
(mean 0, variance 1), which for a short training is much: 0.99 ** 300 is 5 %. Each may be assumed
at a cost that grows the less usual it is.

Costs are negative log likelihoods with heavy tails (Student's t), so that a few channels that
went astray in training cannot spoil a fit. Differences of cost are log odds; the constants were
set by measuring, see ``docs/reference/recipe-evidence.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tintype.models.recipes.patch_statistics import Float64Array
from tintype.models.recipes.response import Response, rectified

FAMILY, CONTRAST, LEVEL, MEMORY = range(4)
"""Columns of an array of assumptions."""

CONTRASTS: Final = np.exp(np.linspace(-0.8, 0.8, 17))
CONTRAST_SPREAD: Final = 0.2
"""Standard deviation, in log, of the contrast of picture collections. Published ones (ImageNet,
CIFAR, FER2013, CelebA, Food-101, Flowers, MNIST, SVHN) lie within 0.3 of the statistics used."""

LEVELS: Final = np.linspace(-90.0, 90.0, 19)
LEVEL_SPREAD: Final = 25.0
"""Spread of the mean level of picture collections, in levels 0..255, with heavy tails."""

MEMORIES: Final = np.array([0.0, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.7, 0.85])
"""What the moving averages may still hold of their start: momentum ** steps."""

VARIANCE_SPREAD: Final = 0.2
MEAN_SPREAD: Final = 0.15
"""What a channel usually differs by: log variance, and mean in standard deviations."""

SHIFT_SPREAD: Final = 0.8
GAIN_SPREAD: Final = 0.5
"""Of a folded normalisation: how shifts differ from their median, and log gains from 0."""

CHANNELS_THAT_COUNT: Final = 8
FOLDED_CHANNELS_THAT_COUNT: Final = 4
"""Channels see the same pictures: many of them are worth no more than so many alone."""

_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Moving mean and variance of each living channel, and what lay between them and the kernel."""

    mean: Float64Array
    variance: Float64Array
    rectified: bool
    ceiling: float | None


def best_assumptions(
    predicted: Response, remembered: Remembered | None
) -> tuple[Float64Array, Float64Array]:
    """The best assumptions for each scale (scales x 4) and what they cost in all (scales).

    One assumption is changed after the other, from several starts. ``remembered`` is None where
    the normalisation is folded into the kernel.
    """
    scales, families, _ = predicted.variance.shape
    starts = (0.0,) if remembered is None else (0.0, 0.04, 0.5)
    found = []
    for memory in starts:
        state = np.tile([families // 2, 1.0, 0.0, memory], (scales, 1))
        found.append(_descend(predicted, remembered, state))
    states, costs = (np.array(parts) for parts in zip(*found, strict=True))
    winner = costs.argmin(axis=0)
    places = np.arange(scales)
    return states[winner, places], costs[winner, places]


def _descend(
    predicted: Response, remembered: Remembered | None, state: Float64Array
) -> tuple[Float64Array, Float64Array]:
    families = np.arange(predicted.variance.shape[1], dtype=np.float64)
    grids = {FAMILY: families, CONTRAST: CONTRASTS, LEVEL: LEVELS}
    if remembered is not None:
        grids[MEMORY] = MEMORIES
    costs = np.full(len(state), np.inf)
    for _ in range(_ROUNDS):
        before = costs
        for column, grid in grids.items():
            trial = np.repeat(state[:, None], len(grid), axis=1)
            trial[..., column] = grid
            priced = cost(predicted, remembered, trial)
            best = priced.argmin(axis=1)
            state, costs = trial[np.arange(len(state)), best], priced.min(axis=1)
        if np.array_equal(before, costs):
            break
    return state, costs


def cost(predicted: Response, remembered: Remembered | None, trial: Float64Array) -> Float64Array:
    """The cost of assumptions (scales x trials x 4), one number a trial."""
    mean, variance = _outputs(predicted, trial)
    if remembered is None:
        misfit = _folded_misfit(mean, variance)
    else:
        misfit = _misfit(mean, variance, remembered, trial[..., MEMORY, None])
    contrast = (np.log(trial[..., CONTRAST]) / CONTRAST_SPREAD) ** 2 / 2
    level = 2.5 * np.log1p((trial[..., LEVEL] / LEVEL_SPREAD) ** 2 / 4)
    memory = trial[..., MEMORY]
    return misfit + contrast + level + np.where(memory > 0, 1 + 3 * memory, 0.0)


def _outputs(predicted: Response, trial: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of each channel (scales x trials x channels) behind the convolution."""
    mean = predicted.mean[:, None] + trial[..., LEVEL, None] * predicted.slope[:, None]
    rows = np.arange(len(trial))[:, None]
    chosen = predicted.variance[rows, trial[..., FAMILY].astype(np.intp)]
    return mean, chosen * trial[..., CONTRAST, None] ** 2


def _misfit(
    mean: Float64Array, variance: Float64Array, seen: Remembered, memory: Float64Array
) -> Float64Array:
    if seen.rectified:
        mean, variance = rectified(mean, variance, seen.ceiling)
    mean = (1 - memory) * mean
    variance = memory + (1 - memory) * variance + 1e-9
    ratio = np.log((seen.variance + 1e-9) / variance)
    shift = (seen.mean - mean) / np.sqrt(variance)
    channels = min(mean.shape[-1], CHANNELS_THAT_COUNT)
    costs = _heavy(ratio / VARIANCE_SPREAD) + _heavy(shift / MEAN_SPREAD)
    total: Float64Array = channels * costs.mean(axis=-1)
    return total


def _folded_misfit(mean: Float64Array, variance: Float64Array) -> Float64Array:
    """What is unusual about the shift and gain that the scale implies.

    A folded normalisation gives outputs of mean beta and variance gamma ** 2 over the training
    pictures. Gammas are near 1, and betas near each other and not far from 0; above all they do
    not follow the sum of a kernel's weights, as they would with a wrong offset.
    """
    middle = np.median(mean, axis=-1)
    costs = _heavy((mean - middle[..., None]) / SHIFT_SPREAD)
    costs = costs + _heavy(np.log(variance) / 2 / GAIN_SPREAD)
    channels = min(mean.shape[-1], FOLDED_CHANNELS_THAT_COUNT)
    total: Float64Array = channels * costs.mean(axis=-1) + middle**2 / 8
    return total


def _heavy(deviation: Float64Array) -> Float64Array:
    """Negative log density of Student's t with 2 degrees of freedom, 0 at 0."""
    return 1.5 * np.log1p(deviation**2 / 2)
