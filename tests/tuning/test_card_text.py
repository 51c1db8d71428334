"""The table of a card replaced; every other word of it stays."""

from __future__ import annotations

import tomllib

import pytest

from tintype.errors import CardError
from tintype.tuning.card_text import REMARK, toml_of, with_tuned

CARD = """# my cats
name = "pets"   # short
file = "model.keras"

[view]
kind = "whole"  # all of it
"""
TABLE = {
    "precision": "int8",
    "streams": 2,
    "sources": ["model.keras"],
    "evidence": {"faster": 1.5, "tried": ["f32: 1.00", 'a "quoted" one\n']},
}


def test_the_table_comes_last_and_all_else_stays():
    """Word for word, comments included."""
    text = with_tuned(CARD, TABLE)
    assert text.startswith(CARD)
    assert REMARK in text
    assert TABLE == tomllib.loads(text)["tuned"]


def test_tuning_again_replaces_the_table():
    """Once and for all: no trace of the old values."""
    again = {"precision": "f32", "evidence": {}}
    text = with_tuned(with_tuned(CARD, TABLE), again)
    assert again == tomllib.loads(text)["tuned"]
    assert 1 == text.count(REMARK)
    assert "int8" not in text
    assert text == with_tuned(text, again)


def test_what_a_person_noted_in_the_table_stays():
    """A note of theirs, and what they put behind it."""
    text = with_tuned(CARD, TABLE) + "# mine: tuned on the new server\n\n[size]\nheight = 8\n"
    replaced = with_tuned(text + "width = 9\n", {"precision": "f32"})
    assert "# mine: tuned on the new server" in replaced
    assert {"height": 8, "width": 9} == tomllib.loads(replaced)["size"]


@pytest.mark.parametrize(
    "card",
    [
        'file = "m"\ntuned = { precision = "f32" }\n',
        'file = "m"\ntuned.precision = "f32"\n',
        'file = "m"\ndescription = """\n[tuned]\nkey = 1\n"""\n',
        'file = "m"\n[tuned]\nsources = [\n  "a",\n]\n',
    ],
)
def test_a_card_that_cannot_be_edited_safely_is_refused(card: str):
    """Inline tables, dotted keys, values over lines: nothing is guessed."""
    tomllib.loads(card)
    with pytest.raises(CardError, match="without touching"):
        with_tuned(card, TABLE)


def test_line_ends_of_windows_stay():
    """Every line of the file ends alike."""
    text = with_tuned(CARD.replace("\n", "\r\n"), TABLE)
    assert text.count("\n") == text.count("\r\n")
    assert "pets" == tomllib.loads(text)["name"]


def test_a_new_card_begins_with_its_keys():
    """Tables after the keys, every kind of value as TOML has it."""
    tables = {"": {"file": "käse.h5", "top": 2, "on": True}, "recipe": {"preset": "raw", "a": 0.5}}
    told = tomllib.loads(toml_of(tables))
    assert {"file": "käse.h5", "top": 2, "on": True, "recipe": {"preset": "raw", "a": 0.5}} == told
