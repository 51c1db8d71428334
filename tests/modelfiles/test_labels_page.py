"""docs/reference/labels.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tintype.modelfiles.label_order import MAX_LABEL_LENGTH, MAX_LABELS
from tintype.modelfiles.label_shapes import parse_labels
from tintype.modelfiles.labels import MAX_FILE_BYTES, find_labels

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "labels.md").read_text("utf-8")
BLOCKS = re.findall(r"```labels\n(.*?)```", PAGE, re.DOTALL)
NAMES = re.findall(r"`([\w.]+\.(?:txt|json|pbtxt|csv))`", PAGE.partition("## Shapes")[0])


@pytest.mark.parametrize("block", BLOCKS)
def test_every_shape_on_the_page_is_read(block):
    """Each example means the same three classes."""
    assert parse_labels(block.encode()) == ("cat", "dog", "red panda")


def test_the_page_has_examples_and_names():
    """The two tests above and below have something to look at."""
    assert len(BLOCKS) > 10
    assert "labels.txt" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_on_the_page_is_found(tmp_path, name):
    """Each file name is found beside pets.h5."""
    (tmp_path / "pets.h5").write_bytes(b"x")
    (tmp_path / name).write_text("cat\n")

    assert tmp_path / name == find_labels(tmp_path / "pets.h5")


def test_the_limits_on_the_page_are_those_of_the_code():
    """8 MiB, 100,000 labels, 1,000 characters."""
    assert f"{MAX_FILE_BYTES >> 20} MiB" in PAGE
    assert f"{MAX_LABELS:,} labels" in PAGE
    assert f"{MAX_LABEL_LENGTH:,} characters" in PAGE
