"""Recipes are a preset and what differs from it; unknown names are refused."""

import json

import pytest

from tintype.errors import SettingsError
from tintype.imaging.presets import ABOUT, PRESETS
from tintype.imaging.recipe import decode_for, expand, parse_recipe, parse_recipe_text
from tintype.imaging.steps import Decode, Geometry, Resize, Values, View


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_parses_to_itself(name):
    """A preset's bare name is the preset."""
    assert PRESETS[name] == parse_recipe({"preset": name}) == parse_recipe_text(name)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_explained(name):
    """Each preset has a sentence and a source for the reference page."""
    assert ABOUT[name].text.endswith(".")
    assert ABOUT[name].source


def test_nothing_is_explained_that_is_not_there():
    """The explanations name presets and nothing else."""
    assert list(PRESETS) == list(ABOUT)


@pytest.mark.parametrize("name", PRESETS)
def test_expansion_comes_back(name):
    """An expanded recipe is plain JSON, and parses to the recipe again."""
    plain = json.loads(json.dumps(expand(PRESETS[name])))
    if name == "keras-caffe":
        assert "BGR" == plain["values"].pop("order")

    assert PRESETS[name] == parse_recipe(plain)


def test_flat_text():
    """The text of --recipe sets a step's main choice by the step's name."""
    recipe = parse_recipe_text("keras-load-img,values=tf,resize=bilinear,fraction=0.8")

    assert Values(op="x/127.5-1") == recipe.values
    assert Resize(engine="pillow", kind="bilinear") == recipe.resize
    assert View(kind="fraction", fraction=0.8) == recipe.view


def test_tables():
    """Nested tables, dotted names and flat names say the same."""
    tables = parse_recipe({"preset": "raw", "resize": {"engine": "tf2", "kind": "bicubic"}})
    dotted = parse_recipe({"preset": "raw", "resize.engine": "tf2", "resize.kind": "bicubic"})
    flat = parse_recipe({"preset": "raw", "engine": "tf2", "resize": "bicubic"})

    assert tables == dotted == flat


def test_numbers_a_channel():
    """Mean and std are one number or one a channel, as a list or written on in text."""
    text = parse_recipe_text("raw,values=mean-std,mean=103.9,116.8,123.7,std=1")
    table = parse_recipe(
        {"preset": "raw", "values": {"op": "mean-std", "mean": [103.9, 116.8, 123.7], "std": 1}}
    )

    assert Values(op="mean-std", mean=(103.9, 116.8, 123.7), std=(1.0,)) == text.values
    assert table == text


def test_a_later_op_does_not_come_before_the_resize():
    """tf1-retrain with other values scales after the resize, where those values belong."""
    recipe = parse_recipe_text("tf1-retrain,values=tf")

    assert Values(op="x/127.5-1", before_resize=False) == recipe.values


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("keras-load-image", "keras-load-img"),
        ("raw,valus=tf", "values"),
        ("raw,resize=bilinaer", "bilinear"),
        ("raw,values=torhc", "torch"),
        ("raw,engine=tf3", "tf2"),
        ("raw,resize.knid=box", "kind"),
        ("raw,resize=area", "engine=tf2, tf1"),
        ("raw,before_resize=true,values=x/255", "before_resize=false"),
        ("raw,values=mean-std", "mean=127.5"),
        ("raw,fraction=1.5", "fraction=0.8"),
        ("raw,size=0", "size=9"),
        ("raw,std", "for example"),
    ],
)
def test_mistakes_are_named(text, hint):
    """A mistake is refused with the nearest known name, or with what helps."""
    with pytest.raises(SettingsError) as caught:
        parse_recipe_text(text)

    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"preset": 7},
        {"preset": "raw", "short_side": "many"},
        {"preset": "raw", "short_side": 2.5},
        {"preset": "raw", "short_side": 0},
        {"preset": "raw", "channels": 2},
        {"preset": "raw", "round": "maybe"},
        {"preset": "raw", "mean": float("nan")},
        {"preset": "raw", "resize": {"shape": 3}},
        {"preset": "raw", "resize": 3},
        {"preset": "raw", "values": {"op": "mean-std", "mean": 0, "std": 0}},
        {"preset": "raw", "decode": "jpeg"},
    ],
)
def test_values_of_a_wrong_kind(mapping):
    """A value of a wrong kind is refused as a setting, with no other error."""
    with pytest.raises(SettingsError):
        parse_recipe(mapping)


def test_decode_for_takes_the_channels_of_the_model(make_input):
    """The model's input decides the channels."""
    assert Decode(channels=1) == decode_for(PRESETS["raw"], target=make_input(channels=1))


def test_presets_of_note():
    """Three presets, spelled out, so that no edit of the table goes unseen."""
    dataset, retrain, machine = (
        PRESETS[name] for name in ("keras-image-dataset", "tf1-retrain", "teachable-machine")
    )
    assert (Decode(dct="ifast", grey="tf"), Resize(engine="tf2", kind="bilinear"), Values()) == (
        dataset.decode, dataset.resize, dataset.values
    )  # fmt: skip
    assert (Resize(engine="tf1"), Values(op="x*(1/255)", before_resize=True)) == (
        retrain.resize, retrain.values
    )  # fmt: skip
    assert (Geometry(mode="cover_crop"), Resize(engine="pillow", kind="lanczos")) == (
        machine.geometry, machine.resize
    )  # fmt: skip


@pytest.mark.parametrize("text", ["raw,mean=1,std=2", "keras-tf,values.mean=127.5"])
def test_statistics_that_nothing_uses_are_refused(text: str):
    """A person who gives a mean wants it taken away; in silence it would not be."""
    with pytest.raises(SettingsError, match="would do nothing"):
        parse_recipe_text(text)
