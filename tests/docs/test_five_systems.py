"""The page of the five systems names tests that exist, one or more for each promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/guides/five-systems.md").read_text()
ROWS = re.findall(r"^\| (?!promise|---)(.+) \| (.+) \|$", PAGE, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda each: each)
def test_a_named_test_exists(file: str, name: str):
    """In that file, by that name."""
    assert re.search(rf"def {name}\(", (ROOT / file).read_text())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_every_promise_has_its_tests(row: tuple[str, str]):
    """The second column holds names of tests, and nothing else."""
    cell = re.sub(r"`tests/[\w/]+\.py::\w+`", "test", row[1])
    assert {"test"} == set(cell.split(", "))


def test_there_is_a_table_for_each_of_the_five():
    """And each has promises that are held."""
    sections = PAGE.split("\n## ")[1:]
    assert 5 == len(sections)
    assert all("::test_" in section for section in sections)
