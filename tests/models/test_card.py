"""What model.toml says, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tintype.errors import CardError
from tintype.models.card import bare_card
from tintype.models.card_reader import read_card
from tintype.types import Task

FULL = """
name = "pets"
title = "Pets"
description = "Cats and dogs"
version = "3"
file = "model.keras"
labels = "labels.txt"
task = "classify"
top = 2
threshold = 0.1
deadline_seconds = 0.25
fallback = ["cat", "dog"]
engine = "openvino"
device = "cpu"
allow_code = true

[recipe]
preset = "keras-load-img"

[view]
kind = "whole"

[size]
height = 96
width = 128

[read]
signature = "serving_default"
"""


def card_of(tmp_path: Path, text: str):
    path = tmp_path / "model.toml"
    path.write_text(text)
    return read_card(path)


def test_a_full_card_is_read(tmp_path: Path):
    """Every key arrives, files are found beside the card."""
    card = card_of(tmp_path, FULL)
    assert ("pets", "3", tmp_path / "model.keras", tmp_path / "labels.txt", Task.CLASSIFY) == (
        card.name,
        card.version,
        card.file,
        card.labels,
        card.task,
    )
    assert ("openvino", "cpu") == (card.engine, card.device)
    assert (2, 0.1, 0.25, ("cat", "dog"), 96, 128, "serving_default") == (
        card.top,
        card.threshold,
        card.deadline_seconds,
        card.fallback,
        card.size.height,
        card.size.width,
        card.read.signature,
    )


def test_a_card_without_a_name_is_named_after_its_folder(tmp_path: Path):
    """The folder is the model's name."""
    assert tmp_path.name == card_of(tmp_path, 'file = "m.onnx"').name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('file = "m"\nallow_code = "yes"', "'allow_code' must be true or false"),
        ("", "'file' is missing"),
        ('file = "m"\nlabel = "x"', "unknown key 'label'; did you mean 'labels'"),
        ('file = "m"\ntop = 0', "'top' must be a whole number from 1"),
        ('file = "m"\ntop = 1.5', "'top' must be a whole number"),
        ('file = "m"\nthreshold = 2', "'threshold' must be a number from 0 to 1"),
        ('file = "m"\ntask = "paint"', "'task' must be one of classify, detect"),
        ('file = "m"\nrecipe = "x"', "'recipe' must be a table"),
        ('file = "m"\n[size]\nheight = 3', "needs both"),
        ('file = "m"\n[read]\nimput = "x"', "unknown key 'read.imput'; did you mean 'input'"),
        ('file = "m"\nclass_names = [1]', "'class_names' must be a list of texts"),
        ('file = "m"\ndevice = "gpu"', "'device' must be one of cpu, cuda, not 'gpu'"),
        ('file = "m"\n[tuned]\nprecision = "tf32"', "'tuned.precision' must be one of f32, bf16"),
        ('file = "m"\nfallback = "sea"', "'fallback' must be a list of texts"),
        ('file = "m"\ndeadline_seconds = 0', "'deadline_seconds' must be a number from 0.001"),
        ("file = ", "is no TOML"),
    ],
)
def test_a_wrong_card_is_told_in_words(tmp_path: Path, text: str, said: str):
    """The message names the card, the key and what was expected."""
    with pytest.raises(CardError, match=said) as raised:
        card_of(tmp_path, text)
    assert str(tmp_path / "model.toml") in raised.value.message


def test_a_card_that_is_not_there_is_told(tmp_path: Path):
    """No traceback for a missing file."""
    with pytest.raises(CardError, match="cannot read"):
        read_card(tmp_path / "model.toml")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pets/keras_model.h5", "keras_model"),
        ("pets/model.tflite", "pets"),
        ("pets/saved_model", "pets"),
        ("pets/flowers.onnx", "flowers"),
    ],
)
def test_a_bare_file_is_named_after_itself_or_its_folder(path: str, name: str):
    """A file name that says nothing gives way to the folder's."""
    assert name == bare_card(Path(path)).name


def test_a_byte_order_mark_before_a_card_is_passed(tmp_path: Path):
    """Editors of Windows put one in front of UTF-8."""
    assert tmp_path / "m.keras" == card_of(tmp_path, '\ufefffile = "m.keras"').file


@pytest.mark.parametrize(
    "text", ['file = "m"\nclass_names = ' + "[" * 3000 + "]" * 3000, "file = model.keras"]
)
def test_what_is_no_card_is_refused_in_words(tmp_path: Path, text: str):
    """Brackets without end and values without quotes."""
    with pytest.raises(CardError, match=r"model\.toml"):
        card_of(tmp_path, text)


def test_a_card_in_another_encoding_is_refused(tmp_path: Path):
    """UTF-16, as some editors call Unicode."""
    (tmp_path / "model.toml").write_bytes('file = "m.keras"'.encode("utf-16"))
    with pytest.raises(CardError, match="not UTF-8"):
        read_card(tmp_path / "model.toml")


def test_labels_and_names_together_are_refused(tmp_path: Path):
    """One of the two would be passed over in silence."""
    with pytest.raises(CardError, match="both say the labels"):
        card_of(tmp_path, 'file = "m"\nlabels = "l.txt"\nclass_names = ["a"]')


def test_how_a_file_was_found_is_no_key(tmp_path: Path):
    """A card is never found by chance, and cannot say so."""
    with pytest.raises(CardError, match="unknown key 'found'"):
        card_of(tmp_path, 'file = "m"\nfound = true')


REMOTE = """
engine = "tfserving"

[remote]
address = "grpc://${SERVING:-localhost}:8500"
"""


def test_a_model_on_another_server_needs_no_file(tmp_path: Path):
    """Its name there is its name here, and labels lie beside the card."""
    remote = card_of(tmp_path, REMOTE).remote
    expected = ("grpc://localhost:8500", tmp_path.name, None, None)
    assert expected == (remote.address, remote.name, remote.version, remote.label)
    assert tmp_path / "model.toml" == card_of(tmp_path, REMOTE).file


def test_every_key_of_a_remote_arrives(tmp_path: Path):
    """And the address takes its variables from the environment."""
    more = 'name = "resnet"\nversion = 3\ntimeout_seconds = 2.5\ncalls = 2'
    (tmp_path / "model.toml").write_text(f"{REMOTE}{more}")
    remote = read_card(tmp_path / "model.toml", environment={"SERVING": "gpu-1"}).remote
    assert ("grpc://gpu-1:8500", "resnet", 3, 2.5, 2) == (
        remote.address,
        remote.name,
        remote.version,
        remote.timeout_seconds,
        remote.calls,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('engine = "tfserving"', r"needs 'address' under \[remote\]"),
        ('file = "m"\n[remote]\naddress = "grpc://a:1"', "needs engine = 'tfserving'"),
        ('file = "m"\nengine = "tfserving"\n[remote]\naddress = "grpc://a:1"', "exclude"),
        (f'{REMOTE}version = 1\nlabel = "stable"', "exclude"),
        (f"{REMOTE}version = -1", "'version' must be a whole number"),
        (f"{REMOTE}calls = 0", "'calls' must be"),
        (f"{REMOTE}adress = 1", "unknown key 'remote.adress'; did you mean 'address'"),
        (f'{REMOTE}signature = "x"', "unknown key 'remote.signature'"),
        ('engine = "tfserving"\n[remote]\naddress = "here"', "'remote.address': 'here' is no"),
    ],
)
def test_a_remote_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str):
    """With the key, and what was expected."""
    with pytest.raises(CardError, match=said):
        card_of(tmp_path, text)
