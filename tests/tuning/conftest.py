"""Pictures to tune by, and a small model that is quantised in a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tintype

DEMO = Path(tintype.__file__).parent / "demo/models"
LEVELS = {"red": (220, 20, 30), "blue": (20, 40, 210), "green": (20, 140, 40)}


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures of one colour with some noise, a folder a label."""
    folder = tmp_path_factory.mktemp("shades")
    rng = np.random.default_rng(3)
    for name, level in LEVELS.items():
        (folder / name).mkdir()
        for number in range(20):
            noise = rng.integers(-15, 16, (24, 32, 3))
            pixels = np.clip(np.array(level) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A copy of the bundled model in a folder of its own."""
    return Path(shutil.copytree(DEMO / "colours", tmp_path / "colours"))
