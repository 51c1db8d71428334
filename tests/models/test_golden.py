"""A version is put through pictures whose labels are known."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tintype.errors import CardError, GoldenSetFailed
from tintype.imaging.limits import DecodeLimits
from tintype.models.card import Card, Golden
from tintype.models.fake import fake_host, fake_plan
from tintype.models.golden import check_golden, read_golden
from tintype.models.info import Health
from tintype.models.loading import Loader

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A folder a label, each with one picture of that colour."""
    for label, colour in COLOURS.items():
        (tmp_path / "golden" / label).mkdir(parents=True)
        Image.new("RGB", (16, 16), colour).save(tmp_path / "golden" / label / "one.png")
    return tmp_path / "golden"


@asynccontextmanager
async def loaded(pictures: Path, accuracy: float = 1.0):
    card = Card(
        name="colours", file=Path("c.onnx"), golden=Golden(pictures=pictures, accuracy=accuracy)
    )
    async with fake_host(card) as host:
        yield host


async def test_all_right_is_enough(golden):
    """The fake engine tells colours."""
    async with loaded(golden) as host:
        await check_golden(host, limits=DecodeLimits())


async def test_too_many_wrong_is_refused_with_the_figures(golden):
    """And the first picture that was wrong."""
    (golden / "red/one.png").rename(golden / "blue/two.png")
    async with loaded(golden, accuracy=0.9) as host:
        with pytest.raises(GoldenSetFailed, match=r"2 of 3 .* two\.png is 'blue', it says 'red'"):
            await check_golden(host, limits=DecodeLimits())
    async with loaded(golden, accuracy=0.6) as host:
        await check_golden(host, limits=DecodeLimits())


async def test_a_csv_names_files_and_labels(golden):
    """Files are beside it; spreadsheets write a mark at the start."""
    table = golden / "set.csv"
    table.write_text("file,label\nred/one.png,red\nblue/one.png,blue\n", "utf-8-sig")
    assert ["red", "blue"] == [each.label for each in read_golden(table)]
    async with loaded(table) as host:
        await check_golden(host, limits=DecodeLimits())


async def test_a_label_that_the_model_has_not_is_told(golden):
    """It could never be right."""
    (golden / "red").rename(golden / "rouge")
    async with loaded(golden) as host:
        with pytest.raises(CardError, match="rouge"):
            await check_golden(host, limits=DecodeLimits())


async def test_a_picture_that_cannot_be_read_is_told(golden):
    """By its name."""
    (golden / "red/bad.png").write_bytes(b"nothing")
    async with loaded(golden) as host:
        with pytest.raises(CardError, match=r"bad\.png"):
            await check_golden(host, limits=DecodeLimits())


@pytest.mark.parametrize("text", ["", "file;label\n", "file,label\n"])
def test_a_set_without_pictures_is_told(tmp_path, text):
    """Empty, of other columns, without rows."""
    (tmp_path / "set.csv").write_text(text)
    with pytest.raises(CardError, match=r"set\.csv"):
        read_golden(tmp_path / "set.csv")


def test_a_set_that_is_not_there_is_told(tmp_path):
    """By its path."""
    with pytest.raises(CardError, match="nix"):
        read_golden(tmp_path / "nix")


async def test_a_version_that_fails_is_closed_again(golden):
    """Nothing of it stays."""
    (golden / "red/one.png").rename(golden / "blue/two.png")
    made = []

    def make(plan):
        made.append(fake_host(plan.card))
        return made[-1]

    card = replace(Card(name="colours", file=Path("c.onnx")), golden=Golden(pictures=golden))
    with pytest.raises(GoldenSetFailed):
        await Loader(make, limits=DecodeLimits()).load(fake_plan(card))
    assert [Health.DRAINING] == [host.health for host in made]
