"""Measures how pixels of natural pictures vary together, and writes the numbers Tintype ships.

For pictures stretched to 32, 64, 128 and 224 pixels by three kinds of resize: the covariance of
two pixels, for every displacement of 0 to 10 rows and columns and every pair of colours. Summed
over thousands of pictures; no picture can be told from the sums.

    python training/patch_statistics.py                    all photographs, the file shipped
    python training/patch_statistics.py --only cats --out cats.npz

Reads TINTYPE_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "src/tintype/models/recipes/patch_statistics.npz"
SIZES = (32, 64, 128, 224)
KINDS = ("antialiased", "bilinear", "nearest")
LAGS = 11
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
REFERENCE = np.array([124.0, 117.0, 105.0], np.float32)
"""Close to the mean pixel; taken off before sums are made, so that they lose no digits."""


@dataclass(slots=True)
class Sums:
    """Running sums for one size and one kind of resize."""

    size: int
    spectrum: np.ndarray = field(init=False)
    total: np.ndarray = field(default_factory=lambda: np.zeros(3))
    count: int = 0

    def __post_init__(self) -> None:
        """Make room for one cross spectrum a pair of colours, padded so that lags do not wrap."""
        padded = self.size + LAGS
        self.spectrum = np.zeros((len(PAIRS), padded, padded // 2 + 1), np.complex128)

    def add(self, picture: np.ndarray) -> None:
        """Add one picture, float32 size x size x 3 in 0..255."""
        centred = (picture - REFERENCE).transpose(2, 0, 1)
        padded = self.size + LAGS
        waves = np.fft.rfft2(centred, (padded, padded))
        for row, (a, b) in enumerate(PAIRS):
            self.spectrum[row] += waves[a] * np.conj(waves[b])
        self.total += centred.mean(axis=(1, 2))
        self.count += 1

    def mean(self) -> np.ndarray:
        """The mean pixel, 3 numbers in 0..255."""
        return self.total / self.count + REFERENCE

    def covariance(self) -> np.ndarray:
        """Covariance, pairs x rows x columns of displacement; mirrored displacements averaged."""
        padded = self.size + LAGS
        products = np.fft.irfft2(self.spectrum, (padded, padded))
        lags = np.arange(LAGS)
        folded = sum(products[:, dy][:, :, dx] for dy in (lags, -lags) for dx in (lags, -lags))
        overlap = (self.size - lags)[:, None] * (self.size - lags)[None, :]
        shift = self.total / self.count
        offsets = np.array([shift[a] * shift[b] for a, b in PAIRS])
        return folded / 4 / overlap / self.count - offsets[:, None, None]


def photographs(only: str | None, step: int) -> Iterator[Path]:
    """Paths of the photographs; ``only`` names one folder of cats-dogs (cats or dogs)."""
    folder = Path(os.environ.get("TINTYPE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"error: no folder {folder}\nhint: set TINTYPE_TEST_DATA")
    yield from sorted(folder.glob(f"cats-dogs/*/{only or '*'}/*.jpg"))[::step]
    if only is None:
        yield from sorted(folder.glob("images/*.jpg"))


def variants(path: Path) -> Iterator[tuple[int, str, np.ndarray]]:
    """One photograph at every size, by every kind of resize."""
    with Image.open(path) as opened:
        photo = opened.convert("RGB")
    pixels = np.asarray(photo)
    for size in SIZES:
        square = (size, size)
        yield size, "antialiased", np.float32(photo.resize(square, Image.Resampling.BILINEAR))
        yield size, "bilinear", bilinear(pixels, size)
        yield size, "nearest", np.float32(photo.resize(square, Image.Resampling.NEAREST))


def bilinear(pixels: np.ndarray, size: int) -> np.ndarray:
    """Four neighbours, no antialiasing, pixel centres at halves: as `tf.image.resize` does."""
    (y0, y1, fy), (x0, x1, fx) = (_axis(length, size) for length in pixels.shape[:2])
    rows = pixels[y0] * (1 - fy)[:, None, None] + pixels[y1] * fy[:, None, None]
    return (rows[:, x0] * (1 - fx)[:, None] + rows[:, x1] * fx[:, None]).astype(np.float32)


def _axis(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    place = (np.arange(size) + 0.5) * (length / size) - 0.5
    low = np.floor(place)
    fraction = (place - low).astype(np.float32)
    return (
        np.maximum(low, 0).astype(np.intp),
        np.minimum(low + 1, length - 1).astype(np.intp),
        fraction,
    )


def measure(only: str | None, step: int) -> dict[str, np.ndarray]:
    """The arrays of the shipped file, from all photographs or those of one folder."""
    sums = {(size, kind): Sums(size) for size in SIZES for kind in KINDS}
    for path in photographs(only, step):
        for size, kind, picture in variants(path):
            sums[size, kind].add(picture)
    return {
        "size": np.array([size for size, _ in sums], np.int32),
        "kind": np.array([kind for _, kind in sums]),
        "mean": np.array([entry.mean() for entry in sums.values()], np.float32),
        "covariance": np.array([entry.covariance() for entry in sums.values()], np.float32),
        "pictures": np.int32(next(iter(sums.values())).count),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="Measure patch statistics of photographs.")
    parser.add_argument("--only", choices=["cats", "dogs"], help="photographs of one folder")
    parser.add_argument("--step", type=int, default=1, help="every n-th photograph")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    arrays = measure(arguments.only, arguments.step)
    np.savez_compressed(arguments.out, **arrays)
    count, size = arrays["pictures"], arguments.out.stat().st_size
    print(f"{count} photographs, mean {arrays['mean'][0].round(1)}, {size} bytes")


if __name__ == "__main__":
    main()
