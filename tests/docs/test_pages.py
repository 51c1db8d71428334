"""Every page of the documentation is found from wherever a reader begins."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    str(page.relative_to(DOCS))
    for page in DOCS.rglob("*.md")
    if page != DOCS / "index.md" and not page.name[0].isdigit()
)
DECISIONS = sorted(page.name for page in (DOCS / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_in_the_readme_on_the_front_page_and_in_the_menu(page: str):
    """Once each."""
    assert 1 == (ROOT / "README.md").read_text().partition("## More")[2].count(f"(docs/{page})")
    assert 1 == (DOCS / "index.md").read_text().count(f"]({page})")
    assert 1 == (ROOT / "mkdocs.yml").read_text().count(f": {page}\n")


def test_decisions_have_numbers_of_their_own_and_are_listed():
    """One number each, without a gap, the same in name, heading and list."""
    headings = [(DOCS / "decisions" / name).read_text().splitlines()[0] for name in DECISIONS]
    expected = [
        f"{number}. [{heading.partition('. ')[2]}]({name})"
        for number, (name, heading) in enumerate(zip(DECISIONS, headings, strict=True), 1)
    ]
    assert [*range(1, len(DECISIONS) + 1)] == [int(name[:4]) for name in DECISIONS]
    assert [f"# {number}. " for number in range(1, len(DECISIONS) + 1)] == [
        re.match(r"# \d+\. ", heading)[0] for heading in headings
    ]
    assert expected == re.findall(
        r"^\d+\. \[.*$", (DOCS / "decisions/index.md").read_text(), re.MULTILINE
    )


def test_every_benchmark_is_in_its_table():
    """But for the module that only others import."""
    text = (ROOT / "bench/README.md").read_text()
    assert [] == [
        file.name for file in (ROOT / "bench").glob("*.py") if f"bench/{file.name}" not in text
    ]


def test_the_map_names_every_part():
    """Files and folders of the package, as the tree shows them."""
    tree = (DOCS / "architecture.md").read_text().partition("```\n")[2].partition("```")[0]
    parts = [
        path.name + "/" * path.is_dir()
        for path in (ROOT / "src/tintype").iterdir()
        if path.name[0] != "_" and (path.is_dir() or path.suffix == ".py")
    ]
    assert [] == [part for part in parts if not re.search(rf"[ ─]{re.escape(part)} ", tree)]


def test_the_map_gives_the_order_of_imports_that_is_checked():
    """The same layers from top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    told = next(
        line
        for line in (DOCS / "architecture.md").read_text().splitlines()
        if line.startswith("`cli` → ")
    )
    layers = [re.findall(r"\w+", re.sub(r"\(.*?\)", "", step)) for step in told.split("→")]
    assert [re.findall(r"\w+", layer) for layer in contracts["contracts"][0]["layers"]] == layers
