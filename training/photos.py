"""The cats-and-dogs photographs, decoded as `keras.utils.image_dataset_from_directory` does.

That is: TensorFlow's own JPEG decoder and its bilinear resize without antialiasing, the whole
photograph stretched to a square. Tintype calls this the recipe `keras-image-dataset`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = ROOT.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Photos:
    """Paths with their class numbers, in a fixed order."""

    paths: tuple[Path, ...]
    classes: np.ndarray

    def take(self, indices: np.ndarray) -> Photos:
        """Those photographs only."""
        return Photos(tuple(self.paths[i] for i in indices), self.classes[indices])


def data_folder() -> Path:
    """Where the photographs lie: TINTYPE_TEST_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("TINTYPE_TEST_DATA", DEFAULT_DATA)) / "cats-dogs"
    if not folder.is_dir():
        raise SystemExit(f"error: no folder {folder}\nhint: set TINTYPE_TEST_DATA")
    return folder


def find(part: str, labels: Sequence[str]) -> Photos:
    """All photographs of `train` or `validation`; one folder a label."""
    folders = [sorted((data_folder() / part / label).glob("*.jpg")) for label in labels]
    classes = np.repeat(np.arange(len(labels)), [len(folder) for folder in folders])
    return Photos(tuple(path for folder in folders for path in folder), classes)


def load(photos: Photos, size: int) -> np.ndarray:
    """Every photograph at `size` x `size`, rounded to uint8 so that memory holds them all."""
    stack = np.empty((len(photos.paths), size, size, 3), np.uint8)
    for row, path in enumerate(photos.paths):
        stack[row] = np.rint(view(path, size))
    return stack


def view(path: Path, size: int) -> np.ndarray:
    """One photograph, float32 and not rounded, exactly as the recipe prepares it."""
    pixels = tf.io.decode_image(path.read_bytes(), channels=3, expand_animations=False)
    return tf.image.resize(pixels, (size, size), method="bilinear").numpy()


def split(photos: Photos, share: float, seed: int) -> tuple[Photos, Photos]:
    """Hold out `share` of each class: what is left, what was held out."""
    random = np.random.default_rng(seed)
    held: list[int] = []
    for number in np.unique(photos.classes):
        members = np.flatnonzero(photos.classes == number)
        held.extend(random.permutation(members)[: round(share * len(members))])
    mask = np.isin(np.arange(len(photos.paths)), held)
    return photos.take(np.flatnonzero(~mask)), photos.take(np.flatnonzero(mask))
