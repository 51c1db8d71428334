"""The reference pages say what the code says."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from tintype.cli.app import VERBS, build_app
from tintype.imaging.presets import PRESETS
from tintype.metrics import TABLE
from tintype.models.card import NOT_KEYS, Card
from tintype.settings import Settings, all_settings
from tintype.web.scrape import PROCESS

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = DOCS / "reference"


@pytest.mark.parametrize("setting", [*all_settings(Settings())], ids=lambda s: s.variable)
def test_every_setting_is_on_its_page_with_its_default(setting):
    """A row names the setting, its variable and its default."""
    name = re.escape(f"`{setting.section}.{setting.name}`")
    row = rf"\| {name} \| `{setting.variable}` \| `{re.escape(str(setting.value))}` \|"
    assert re.search(row, (REFERENCE / "settings.md").read_text())


@pytest.mark.parametrize("verb", [*VERBS])
def test_every_verb_and_flag_is_on_the_command_line_page(verb: str):
    """A heading for the verb, and each of its flags under it."""
    text = (REFERENCE / "cli.md").read_text()
    section = text.partition(f"## `tintype {verb}`")[2].partition("\n## ")[0]
    command = typer.main.get_command(build_app(*VERBS)).get_command(None, verb)
    parts = [command, *getattr(command, "commands", {}).values()]
    flags = [
        option for part in parts for p in part.params for option in p.opts if option[:2] == "--"
    ]
    assert [] == [flag for flag in flags if f"`{flag}" not in section]


@pytest.mark.parametrize("key", [f.name for f in fields(Card) if f.name not in NOT_KEYS])
def test_every_key_of_the_card_is_on_its_page(key: str):
    """Each key of model.toml has its place."""
    text = (REFERENCE / "card.md").read_text()
    assert f"`{key}`" in text or f"`[{key}]`" in text


@pytest.mark.parametrize("preset", [*PRESETS])
def test_every_preset_is_on_the_recipe_page(preset: str):
    """Each preset is explained."""
    assert f"`{preset}`" in (REFERENCE / "recipes.md").read_text()


def test_the_page_of_metrics_is_the_table():
    """Every metric with its kind, labels and help, in order; and none that is not there."""
    text = (REFERENCE / "metrics.md").read_text()
    rows = re.findall(r"^\| `(tintype_\w+)` \| (\w+) \| (.*) \| (.*) \|$", text, re.MULTILINE)
    assert [
        (m.name, m.kind, ", ".join(f"`{label}`" for label in m.labels), m.help) for m in TABLE
    ] == rows
    assert [] == [name for name in PROCESS if f"`{name}`" not in text]


PAGES = [
    *DOCS.rglob("*.md"),
    *DOCS.parent.glob("examples/**/*.md"),
    DOCS.parent / "README.md",
    DOCS.parent / "CHANGELOG.md",
    DOCS.parent / "bench/README.md",
]


def links(page: Path) -> list[tuple[Path, str]]:
    """The files and headings that its relative links lead to."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)", text)
    return [(page.parent / file if file else page, anchor) for file, anchor in found]


def anchors(page: Path) -> set[str]:
    """The names of its headings, as GitHub and the built pages make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_links_between_pages_lead_somewhere():
    """No relative link in the docs, the examples, the benchmarks or the README is broken."""
    broken = [
        f"{page.name}: {file}" for page in PAGES for file, _ in links(page) if not file.exists()
    ]
    assert [] == broken


def test_links_to_a_heading_find_it():
    """Whoever renames a heading mends the links to it."""
    broken = [
        f"{page.name}: {file.name}#{anchor}"
        for page in PAGES
        for file, anchor in links(page)
        if anchor and file.suffix == ".md" and anchor not in anchors(file)
    ]
    assert [] == broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_has_its_head(page: Path):
    """A row after an empty line is text with bars to whoever renders the page."""
    lines = page.read_text().splitlines()
    headless = [
        line
        for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False)
        if line.startswith("|") and not before and not re.match(r"\|[ :|-]+\|$", after)
    ]
    assert [] == headless
