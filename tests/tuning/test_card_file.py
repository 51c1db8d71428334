"""Where a choice is written, and what is left alone."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import openvino
import pytest

from tintype.errors import CardError, SettingsError
from tintype.models.card import Card
from tintype.models.library import find_cards
from tintype.models.plan import plan_model
from tintype.tuning.candidates import Candidate
from tintype.tuning.card_file import Written, check_writable, place_of, write_choice

INT8 = Candidate(precision="int8", streams=2)
EVIDENCE = {"date": "2026-01-31", "agreement": 1.0}


def card_of(path: Path) -> Card:
    """The only one."""
    (card,) = find_cards((path,))
    return card


def write(card: Card, kept: Candidate, *, out: Path | None = None) -> Written:
    """Write a choice; the graph stands for one in int8."""
    plan = plan_model(card)
    scratch = card.file.parent / ".scratch"
    scratch.mkdir(exist_ok=True)
    graph = scratch / f"{card.file.stem}.int8.xml"
    source = plan.description.graph.source
    assert isinstance(source, bytes)
    openvino.save_model(openvino.Core().read_model(source), graph, compress_to_fp16=False)
    place = place_of(card, out=out)
    return write_choice(place, plan, kept, graph=graph, evidence=EVIDENCE)


def test_a_card_keeps_every_word_and_gains_the_table(colours: Path):
    """The graph lies beside it, and the plan takes it."""
    before = (colours / "model.toml").read_text()
    written = write(card_of(colours), INT8)
    assert (colours / "model.toml", colours / "model.int8.xml") == (written.card, written.graph)
    assert written.card.read_text().startswith(before)
    plan = plan_model(card_of(colours))
    assert ("int8", "", 2) == (plan.precision, plan.not_as_tuned, plan.tuned.streams)
    assert EVIDENCE == plan.tuned.evidence


def test_tuning_again_takes_the_old_graph_away(colours: Path):
    """Nobody names it any more."""
    write(card_of(colours), INT8)
    written = write(card_of(colours), Candidate(threads=1))
    assert written.graph is None
    assert [] == [*colours.glob("*.int8.*")]
    plan = plan_model(card_of(colours))
    assert ("f32", 1) == (plan.precision, plan.tuned.threads)


def test_a_bare_file_gets_a_card_beside_it(colours: Path):
    """With its name, so that it is served under the same one."""
    (colours / "model.toml").unlink()
    file = (colours / "model.keras").rename(colours / "shades.keras")
    bare = card_of(file)
    write(bare, INT8)
    card = card_of(colours)
    assert (bare.name, file, "int8") == (card.name, card.file, plan_model(card).precision)


def test_a_card_may_lie_in_another_folder(colours: Path, tmp_path: Path):
    """It names the file from there, and is the one to tune the next time."""
    (colours / "model.toml").unlink()
    bare = card_of(colours / "model.keras")
    out = tmp_path / "cards/shades"
    write(bare, Candidate(streams=2), out=out)
    with pytest.raises(SettingsError, match="there is a card already"):
        place_of(bare, out=out)
    write(card_of(out), INT8)
    plan = plan_model(card_of(out))
    assert (colours / "model.keras").resolve() == plan.card.file.resolve()
    assert ("int8", "") == (plan.precision, plan.not_as_tuned)


def test_a_card_that_would_hide_other_models_is_not_written(colours: Path):
    """A folder with a card is one model; the flag is named."""
    (colours / "model.toml").unlink()
    shutil.copy(colours / "model.keras", colours / "other.keras")
    with pytest.raises(SettingsError, match=r"hide the other models there \(other.keras\)") as told:
        place_of(card_of(colours / "model.keras"), out=None)
    assert "--out" in told.value.hint


def test_a_card_beside_the_file_is_not_passed_over(colours: Path, tmp_path: Path):
    """It says how the model is served, so it is the one to tune."""
    with pytest.raises(SettingsError, match="there is a card already") as told:
        place_of(card_of(colours / "model.keras"), out=None)
    assert f"tintype tune {colours}" in told.value.hint
    with pytest.raises(SettingsError, match="--out is for a model file alone"):
        place_of(card_of(colours), out=tmp_path)


def test_a_card_that_cannot_be_edited_is_told_first(colours: Path):
    """Before anything is measured."""
    path = colours / "model.toml"
    path.write_text(path.read_text().replace("[recipe]", 'tuned.precision = "f32"\n[recipe]'))
    with pytest.raises(CardError, match="without touching"):
        place_of(card_of(colours), out=None)


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_place_that_can_hold_no_card_is_told_first(colours: Path, tmp_path: Path, out: str):
    """Before anything is measured."""
    (tmp_path / "file").touch()
    (colours / "model.toml").unlink()
    with pytest.raises(SettingsError, match="file is no folder"):
        check_writable(place_of(card_of(colours / "model.keras"), out=tmp_path / out))


def test_a_read_only_place_is_told_first(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Before anything is measured; a folder still to be made is judged by where it will be."""
    (colours / "model.toml").unlink()
    place = place_of(card_of(colours / "model.keras"), out=tmp_path / "new/deep")
    check_writable(place)
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != tmp_path)
    with pytest.raises(SettingsError, match="read-only"):
        check_writable(place)


def test_a_version_has_a_card_of_its_own(colours: Path, tmp_path: Path):
    """What was found for one version says nothing of the next."""
    model = tmp_path / "pets"
    model.mkdir()
    colours.rename(model / "1")
    (model / "1/model.toml").rename(model / "model.toml")
    shared = (model / "model.toml").read_text()
    written = write(card_of(model), INT8)
    assert model / "1/model.toml" == written.card
    assert {"file", "tuned"} == {*tomllib.loads(written.card.read_text())}
    assert shared == (model / "model.toml").read_text()
    card = card_of(model)
    assert ("1", "int8", "") == (
        card.version,
        plan_model(card).precision,
        plan_model(card).not_as_tuned,
    )


def test_a_card_that_was_linked_stays_a_link(colours: Path, tmp_path: Path):
    """What it leads to is written."""
    real = (colours / "model.toml").rename(tmp_path / "kept.toml")
    (colours / "model.toml").symlink_to(real)
    write(card_of(colours), Candidate(streams=2))
    assert (colours / "model.toml").is_symlink()
    assert 2 == tomllib.loads(real.read_text())["tuned"]["streams"]
