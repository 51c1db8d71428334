"""How pixels of natural pictures vary together: numbers measured once, shipped as a small file.

``training/patch_statistics.py`` made ``patch_statistics.npz`` from photographs stretched to 32,
64, 128 and 224 pixels by three kinds of resize. Only sums over thousands of photographs are in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import numpy.typing as npt

Float64Array: TypeAlias = npt.NDArray[np.float64]

LAGS = 11
"""Displacements known along an axis, 0 to 10 pixels; kernels may be that wide."""

_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B in grey, ITU-R BT.601 (Pillow's and TensorFlow's conversion)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchStatistics:
    """Second-order statistics of pictures in levels 0..255.

    ``mean``: one number a channel (RGB, or one grey). ``covariance``: families x channels x
    channels x 11 x 11, the covariance of a pixel's channel with the channel of a pixel so many
    rows and columns away; mirrored displacements are taken as equal. A family is one size and
    kind of resize, named in ``families``, such as ``224 nearest``: small or unsmoothed pictures
    vary more from pixel to pixel.
    """

    families: tuple[str, ...]
    mean: Float64Array
    covariance: Float64Array

    def reversed(self) -> PatchStatistics:
        """The same pictures with their channels in BGR order."""
        return PatchStatistics(
            families=self.families,
            mean=self.mean[::-1],
            covariance=self.covariance[:, ::-1, ::-1],
        )


@lru_cache(maxsize=2)
def patch_statistics(channels: int) -> PatchStatistics:
    """The shipped statistics of RGB (``channels`` 3) or grey pictures (1)."""
    with (files(__package__) / "patch_statistics.npz").open("rb") as stream:
        colour = read_statistics(stream)
    return colour if channels == 3 else grey(colour)


def read_statistics(source: Path | IO[bytes]) -> PatchStatistics:
    """Statistics of RGB pictures from a file that ``training/patch_statistics.py`` wrote."""
    with np.load(source, allow_pickle=False) as arrays:
        sizes, kinds = arrays["size"], arrays["kind"]
        pairs = arrays["covariance"].astype(np.float64)
        mean = arrays["mean"].astype(np.float64).mean(axis=0)
    covariance = np.empty((len(pairs), 3, 3, LAGS, LAGS))
    for row, (a, b) in enumerate(_PAIRS):
        covariance[:, a, b] = covariance[:, b, a] = pairs[:, row]
    families = tuple(f"{size} {kind}" for size, kind in zip(sizes, kinds, strict=True))
    return PatchStatistics(families=families, mean=mean, covariance=covariance)


def grey(colour: PatchStatistics) -> PatchStatistics:
    """Statistics of the same pictures in grey: exact, for grey is linear in R, G and B."""
    covariance = np.einsum("a,b,fabyx->fyx", _LUMA, _LUMA, colour.covariance)
    return PatchStatistics(
        families=colour.families,
        mean=(colour.mean @ _LUMA)[None],
        covariance=covariance[:, None, None],
    )
