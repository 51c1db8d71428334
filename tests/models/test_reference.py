"""The golden set as what drift is told from."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tintype.imaging.limits import DecodeLimits
from tintype.models.reference import References, golden_reference
from tintype.models.registry import Registry

LIMITS = DecodeLimits()


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """Forty black pictures and twenty white ones, one of them broken."""
    for label, level, count in (("night", 0, 40), ("day", 255, 20)):
        (tmp_path / label).mkdir()
        for number in range(count):
            image = Image.new("RGB", (40, 25), (level, level, level))
            image.save(tmp_path / label / f"{number:02}.png")
    (tmp_path / "day/00.png").write_bytes(b"no picture")
    return tmp_path


def test_labels_and_looks_of_the_set(golden: Path):
    """Every label counts; a broken picture has no look."""
    reference = golden_reference(golden, limits=LIMITS)
    assert reference is not None
    assert {"night": 40, "day": 20} == reference.sample.labels
    assert [0.0] * 40 + [1.0] * 19 == pytest.approx(sorted(reference.sample.measures["brightness"]))
    assert [0.001] * 59 == pytest.approx(reference.sample.measures["size"])


def test_a_small_set_is_no_reference(golden: Path):
    """Drift told from a handful would be chance."""
    for picture in sorted((golden / "night").iterdir())[:11]:
        picture.unlink()
    assert None is golden_reference(golden, limits=LIMITS)


def test_a_set_that_is_not_there_is_no_reference(tmp_path: Path):
    """It was told when the version was loaded."""
    assert None is golden_reference(tmp_path / "none", limits=LIMITS)


async def test_a_model_that_is_not_served_has_none():
    """Nor is anything read."""
    assert None is await References(Registry(), limits=LIMITS).of("pets", "1")
