"""The line that changes a recipe can be typed as it is printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tintype.cli.report import full_lines, override_line
from tintype.models.library import find_cards
from tintype.models.plan import ModelPlan, plan_model

MODEL = Path(__file__).parents[2] / "src/tintype/demo/models/cats-dogs/model.keras"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "my models"
    made.mkdir()
    (made / "cats dogs.keras").write_bytes(MODEL.read_bytes())
    return made


def plan_of(path: Path) -> ModelPlan:
    (card,) = find_cards((path,))
    return plan_model(card)


def test_the_line_names_the_file_where_it_lies(folder: Path):
    """Blanks and the folder survive the shell."""
    path = folder / "cats dogs.keras"
    words = shlex.split(override_line(plan_of(path)))
    assert ["tintype", "serve", str(path), "--recipe"] == words[:4]


def test_the_line_keeps_the_card(folder: Path):
    """A model with a card is served by its folder: the file alone would lose the card's words."""
    (folder / "model.toml").write_text('file = "cats dogs.keras"')
    assert str(folder) == shlex.split(override_line(plan_of(folder)))[2]


def test_inspect_tells_how_to_change_a_recipe_that_is_no_guess(folder: Path):
    """Evidence may be wrong too."""
    plan = plan_of(folder / "cats dogs.keras")
    assert not plan.recipe_is_guess
    assert any(override_line(plan) in line for line in full_lines(plan))
