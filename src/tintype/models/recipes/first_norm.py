"""What the first batch normalisation remembers of the pictures a network was trained on.

Its moving mean and variance are those of the first convolution's outputs over the training
pictures. Natural pictures vary alike everywhere, so both can be predicted for every usual scale
of the values (``response``), and the scale whose prediction fits (``fitting``) is the one that
was used in training. How well this works: ``docs/reference/recipe-evidence.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tintype.modelfiles.description import FirstLayers, InGraphAffine
from tintype.models.recipes.fitting import (
    CHANNELS_THAT_COUNT,
    CONTRAST,
    FAMILY,
    FOLDED_CHANNELS_THAT_COUNT,
    LEVEL,
    MEMORY,
    Remembered,
    best_assumptions,
)
from tintype.models.recipes.patch_statistics import (
    LAGS,
    Float64Array,
    PatchStatistics,
    patch_statistics,
)
from tintype.models.recipes.response import Affine, response
from tintype.models.recipes.scales import (
    BY_NAME,
    PLUS_MINUS_ONE,
    RAW,
    SCALES,
    Scale,
    base_name,
)

CONFIDENT_GAP: Final = 3.0
"""Log odds of the best scale against the next from which the verdict is believed (1 in 20)."""

WORST_FIT: Final = 5.0
"""Distance above which not even the best scale explains the numbers."""

QUIET_BIAS: Final = 0.25
"""Median bias below which nothing seems to be folded in: biases of plain convolutions."""

ORDER_GAP: Final = 2.0
"""Log odds from which RGB or BGR is said."""

FAINT: Final = 0.05
"""Standard deviation of every output below which a scale does not move a first kernel."""

_MOST_CHANNELS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NormFit:
    """How well each scale explains the first batch normalisation.

    ``candidates``: name and distance, the best first. A distance is the mean cost of a channel in
    nats, about 0 for a perfect fit with nothing unusual assumed; channel orders of one scale are
    merged. ``gap``: log odds of the best scale against the next, which is the difference of their
    distances times ``counted`` channels. ``order``: ``RGB`` or ``BGR``
    where it can be told, else None. ``contrast`` (1 as in ordinary photographs), ``level`` (0,
    in levels 0..255) and ``family`` are what the best scale says of the training pictures;
    ``memory`` is the part of their start that the moving averages still hold. ``weak``: the
    normalisation is folded into the kernel, so that the fit rests on what its scale and shift
    usually are; then it is never confident and tells no order.
    """

    candidates: tuple[tuple[str, float], ...]
    gap: float
    confident: bool
    counted: int
    order: str | None = None
    contrast: float = 1.0
    level: float = 0.0
    memory: float = 0.0
    family: str = ""
    weak: bool = False

    @property
    def best(self) -> str:
        """The name of the scale that fits best."""
        return self.candidates[0][0]

    @property
    def next_best(self) -> str:
        """The name of the scale that fits second best."""
        return self.candidates[1][0]

    @property
    def scale(self) -> Scale:
        """The scale that fits best, in the channel order that was told."""
        return BY_NAME.get(f"{self.best} on {self.order}", BY_NAME[self.best])

    def distance(self, name: str) -> float:
        """The distance of the scale called ``name``, in whatever channel order fits better."""
        return dict(self.candidates)[base_name(name)]

    def allows(self, name: str) -> bool:
        """Whether the scale called ``name`` fits nearly as well as the best one."""
        names = [candidate for candidate, _ in self.candidates]
        if base_name(name) not in names:
            return False
        behind = self.distance(name) - self.candidates[0][1]
        return behind * self.counted < CONFIDENT_GAP


def fit_first_norm(
    first: FirstLayers,
    *,
    affine: InGraphAffine | None = None,
    statistics: PatchStatistics | None = None,
) -> NormFit | None:
    """Rank the usual scales by how well they explain ``first``.

    ``affine`` is what the graph does to pixels before the kernel. Returns None where nothing can
    be told: no batch normalisation (and biases too small for a folded one), one that was never
    trained, pictures neither RGB nor grey, a kernel wider than 11, numbers that are not finite or
    do not belong together, or fewer than three channels alive.
    """
    if not _readable(first) or never_trained(first) or _plain(first):
        return None
    kernel = np.asarray(first.kernel, np.float64)
    channels = kernel.shape[2]
    live, graph = _living(kernel), _graph(affine, channels)
    if len(live) < 3 or graph is None:
        return None
    with np.errstate(all="ignore"):  # a stranger's numbers may be anything
        return _fit(first, kernel, live, graph, statistics or patch_statistics(channels))


def _fit(
    first: FirstLayers,
    kernel: Float64Array,
    live: npt.NDArray[np.intp],
    graph: Affine,
    statistics: PatchStatistics,
) -> NormFit | None:
    scales = [scale for scale in SCALES if scale.fits(kernel.shape[2])]
    predicted = response(
        kernel[..., live],
        bias=_row(first.bias, kernel)[live],
        statistics=statistics,
        scales=scales,
        graph=graph,
    )
    remembered = _remembered(first, live)
    assumed, costs = best_assumptions(predicted, remembered)
    if not np.isfinite(costs).all():
        return None
    most = FOLDED_CHANNELS_THAT_COUNT if remembered is None else CHANNELS_THAT_COUNT
    head_starts = np.log([scale.weight / SCALES[0].weight for scale in scales])
    priced = costs - head_starts
    counted = min(len(live), most)
    verdict = _verdict(scales, priced, counted=counted, weak=remembered is None)
    winner = int(priced.argmin())
    best = assumed[winner]
    return replace(
        verdict,
        order=None if verdict.weak else _order(scales, costs, winner),
        contrast=float(best[CONTRAST]),
        level=float(best[LEVEL]),
        memory=float(best[MEMORY]),
        family=statistics.families[int(best[FAMILY])],
    )


def _verdict(scales: Sequence[Scale], costs: Float64Array, *, counted: int, weak: bool) -> NormFit:
    ranking = _ranking(scales, costs)
    gap = ranking[1][1] - ranking[0][1]
    clear = gap >= CONFIDENT_GAP and ranking[0][1] / counted <= WORST_FIT
    return NormFit(
        candidates=tuple((name, price / counted) for name, price in ranking),
        gap=gap,
        confident=clear and not weak,
        counted=counted,
        weak=weak,
    )


def moved_by_levels_only(first: FirstLayers, *, affine: InGraphAffine | None = None) -> bool:
    """Whether the kernel is so faint that no scale but levels 0..255 makes anything of pictures.

    Converters fold a division by 255 (Keras' ``Rescaling``) into the kernel behind it and leave no
    other trace. Weights as initialised by Glorot or He make outputs vary by 0.1 and more under
    ``x/127.5-1``; divided by 255 they vary by less than a tenth of ``FAINT``. False where a batch
    normalisation follows (any size of weights is as good then) and for what cannot be read.
    """
    kernel = np.asarray(first.kernel, np.float64)
    if first.mean is not None or kernel.ndim != 4 or kernel.shape[2] not in {1, 3}:
        return False
    graph = _graph(affine, kernel.shape[2])
    if not kernel.size or max(kernel.shape[:2]) > LAGS or graph is None:
        return False
    if not np.isfinite(kernel).all() or not kernel.any():
        return False
    small, levels = (
        float(np.sqrt(made.variance[0].max(axis=-1).min()))
        for made in (
            response(
                kernel,
                bias=np.zeros(kernel.shape[3]),
                statistics=patch_statistics(kernel.shape[2]),
                scales=[scale],
                graph=graph,
            )
            for scale in (PLUS_MINUS_ONE, RAW)
        )
    )
    return small < FAINT <= levels


def never_trained(first: FirstLayers) -> bool:
    """Whether the moving averages are still at their start: mean 0 and variance 1 throughout."""
    if first.mean is None or first.variance is None:
        return False
    return bool(np.abs(first.mean).max() < 1e-6 and np.abs(first.variance - 1).max() < 1e-6)


def _plain(first: FirstLayers) -> bool:
    """Whether there is no normalisation, and the biases do not look as if one were folded in."""
    if first.mean is not None and first.variance is not None:
        return False
    return bool(np.median(np.abs(np.asarray(first.bias))) < QUIET_BIAS)


def _readable(first: FirstLayers) -> bool:
    """Whether the arrays are there, belong together and are finite."""
    kernel = np.asarray(first.kernel)
    if (
        kernel.ndim != 4
        or not kernel.size
        or kernel.shape[2] not in {1, 3}
        or max(kernel.shape[:2]) > LAGS
    ):
        return False
    if first.bias is None and (first.mean is None or first.variance is None):
        return False
    rows = [row for row in (first.bias, first.mean, first.variance) if row is not None]
    return all(np.shape(row) == kernel.shape[3:] for row in rows) and all(
        bool(np.isfinite(array).all()) for array in (kernel, *rows)
    )


def _living(kernel: Float64Array) -> npt.NDArray[np.intp]:
    """Channels whose weights did not shrink to nothing; the largest where there are many."""
    size = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    order: npt.NDArray[np.intp] = np.argsort(-size, kind="stable")[:_MOST_CHANNELS]
    alive: npt.NDArray[np.intp] = order[size[order] > max(1e-3 * size.max(initial=0.0), 1e-12)]
    return alive


def _row(row: npt.ArrayLike | None, kernel: Float64Array) -> Float64Array:
    return np.zeros(kernel.shape[3]) if row is None else np.asarray(row, np.float64)


def _graph(affine: InGraphAffine | None, channels: int) -> Affine | None:
    """The graph's own arithmetic, one number a channel; None where the counts do not fit."""
    if affine is None:
        return np.ones(channels), np.zeros(channels)
    if not {len(affine.scale), len(affine.offset)} <= {1, channels}:
        return None
    factor = np.broadcast_to(np.asarray(affine.scale, np.float64), channels)
    offset = np.broadcast_to(np.asarray(affine.offset, np.float64), channels)
    finite = np.isfinite(factor).all() and np.isfinite(offset).all()
    return (factor, offset) if finite else None


def _remembered(first: FirstLayers, live: npt.NDArray[np.intp]) -> Remembered | None:
    if first.mean is None or first.variance is None:
        return None
    return Remembered(
        mean=np.asarray(first.mean, np.float64)[live],
        variance=np.maximum(np.asarray(first.variance, np.float64)[live], 0.0),
        rectified=first.rectified,
        ceiling=first.ceiling,
    )


def _ranking(scales: Sequence[Scale], costs: Float64Array) -> list[tuple[str, float]]:
    """Name and cost of each scale in the better of its channel orders, the best first."""
    merged: dict[str, float] = {}
    for place in np.argsort(costs, kind="stable"):
        merged.setdefault(base_name(scales[place].name), float(costs[place]))
    return list(merged.items())


def _order(scales: Sequence[Scale], costs: Float64Array, best: int) -> str | None:
    """The channel order of the scale at ``best``, where the other order fits clearly worse.

    ``costs`` are without head starts: that RGB is usual is no evidence for RGB.
    """
    rivals = [
        float(costs[place])
        for place, scale in enumerate(scales)
        if base_name(scale.name) == base_name(scales[best].name) and scale.bgr != scales[best].bgr
    ]
    if not rivals or min(rivals) - float(costs[best]) < ORDER_GAP:
        return None
    return "BGR" if scales[best].bgr else "RGB"
