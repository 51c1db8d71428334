from __future__ import annotations

import pytest

from tintype.errors import NotAnImageModel
from tintype.modelfiles.image_input import (
    InputHints,
    as_image_input,
    choose_image_input,
    describe_spec,
)
from tintype.types import Layout, TensorSpec


def spec(*shape: int | None, dtype: str = "float32", name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype=dtype)


PICTURES = [
    pytest.param((None, 224, 224, 3), (Layout.NHWC, 224, 224, 3, None), id="colour"),
    pytest.param((1, 28, 28, 1), (Layout.NHWC, 28, 28, 1, 1), id="grey, batch of one"),
    pytest.param((32, 3, 64, 48), (Layout.NCHW, 64, 48, 3, 32), id="channels first"),
    pytest.param((None, None, None, 3), (Layout.NHWC, None, None, 3, None), id="any size"),
    pytest.param((None, 3, None, None), (Layout.NCHW, None, None, 3, None), id="any size first"),
    pytest.param((None, 3, 224, 3), (Layout.NHWC, 3, 224, 3, None), id="three high: by position"),
    pytest.param((None, 32, 32, 4), (Layout.NHWC, 32, 32, 4, None), id="four channels"),
    pytest.param((None, 9, 9, 3), (Layout.NHWC, 9, 9, 3, None), id="nine pixels"),
    pytest.param((None, 28, 28), (Layout.NHW, 28, 28, 1, None), id="no channel axis"),
    pytest.param((None, 784), (Layout.FLAT, 28, 28, 1, None), id="flat grey"),
    pytest.param((None, 3072), (Layout.FLAT, 32, 32, 3, None), id="flat colour"),
]


@pytest.mark.parametrize(("shape", "expected"), PICTURES)
def test_shapes_of_pictures_are_read(shape, expected):
    """Every usual shape of a picture gives its layout, size, channels and fixed batch."""
    image = as_image_input(spec(*shape))

    assert image is not None
    assert expected == (image.layout, image.height, image.width, image.channels, image.batch)


STRANGERS = [
    pytest.param((None, 60, 1), "float32", id="prices"),
    pytest.param((None, 30, 5), "float32", id="steps and features"),
    pytest.param((None, 60, 40), "float32", id="many steps and features"),
    pytest.param((None, 128), "int64", id="token ids"),
    pytest.param((None, 128), "float32", id="a row of features"),
    pytest.param((None, 13), "float32", id="a table"),
    pytest.param((None,), "string", id="text"),
    pytest.param((None, 224, 224, 3), "int64", id="pixels of a dtype nobody uses"),
    pytest.param((None, 60, 1, 1), "float32", id="a series with four axes"),
    pytest.param((None, 16, 224, 224, 3), "float32", id="video"),
    pytest.param((), "float32", id="one number"),
    pytest.param((0, 224, 224, 3), "float32", id="no picture at all"),
]


@pytest.mark.parametrize(("shape", "dtype"), STRANGERS)
def test_what_is_no_picture_is_refused_by_name(shape, dtype):
    """The error names the input, its shape and dtype, and says what was expected."""
    with pytest.raises(NotAnImageModel) as caught:
        choose_image_input([spec(*shape, dtype=dtype, name="lstm_input")])

    assert describe_spec(spec(*shape, dtype=dtype, name="lstm_input")) in caught.value.message
    assert "expected" in caught.value.message


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
def test_dtypes_of_pixels(dtype):
    """Four dtypes hold pixels."""
    assert as_image_input(spec(None, 8, 8, 3, dtype=dtype)) is not None


def test_a_sequence_hint_refuses_a_square():
    """A recurrent layer behind [N, 28, 28] makes it a series, not a picture."""
    assert as_image_input(spec(None, 28, 28), hints=InputHints(sequence=True)) is None


def test_a_layout_hint_settles_what_the_shape_leaves_open():
    """[N, 3, 3, 3] is channels first when the first convolution says so."""
    image = as_image_input(spec(None, 3, 3, 3), hints=InputHints(layout=Layout.NCHW))

    assert image is not None
    assert Layout.NCHW is image.layout


def test_hinted_channels_fill_a_free_axis():
    """A wholly free shape takes its channels from the first convolution."""
    hints = InputHints(layout=Layout.NCHW, channels=1)
    image = as_image_input(spec(None, None, None, None), hints=hints)

    assert image is not None
    assert (Layout.NCHW, 1) == (image.layout, image.channels)


def test_a_string_is_a_picture_only_before_a_decoder():
    """An input of strings takes encoded pictures when the reader saw a decoder behind it."""
    encoded = spec(None, dtype="string")

    assert as_image_input(encoded) is None
    assert as_image_input(encoded, hints=InputHints(encoded=True)) is not None


def test_the_only_plausible_of_several_is_chosen_and_said():
    """A second input that cannot be a picture does not stand in the way."""
    chosen = choose_image_input([spec(None, 4, name="age"), spec(None, 64, 64, 3, name="face")])

    assert chosen.image.tensor.name == "face"
    assert chosen.note is not None
    assert "the only one of 2" in chosen.note


def test_two_plausible_inputs_need_a_choice():
    """Two pictures: the error names both and the flag; the flag then decides."""
    inputs = [spec(None, 64, 64, 3, name="left"), spec(None, 64, 64, 3, name="right")]
    with pytest.raises(NotAnImageModel) as caught:
        choose_image_input(inputs)

    assert "'left'" in caught.value.message
    assert caught.value.hint is not None
    assert "--input" in caught.value.hint
    assert choose_image_input(inputs, wanted="right:0").image.tensor.name == "right"


def test_a_name_that_is_not_there_lists_those_that_are():
    """A wrong --input is answered with the right names."""
    with pytest.raises(NotAnImageModel, match="the model has: x"):
        choose_image_input([spec(None, 64, 64, 3)], wanted="nope")


def test_naming_an_input_admits_small_and_oblong_pictures():
    """[N, 64] and [N, 40, 20] are pictures only when a person says so."""
    assert as_image_input(spec(None, 64)) is None
    assert as_image_input(spec(None, 40, 20)) is None
    small = choose_image_input([spec(None, 64)], wanted="x").image
    oblong = choose_image_input([spec(None, 40, 20)], wanted="x").image

    assert (8, 8) == (small.height, small.width)
    assert (40, 20) == (oblong.height, oblong.width)


def test_a_flat_input_is_said_to_be_read_as_pictures():
    """Flat vectors may be features: what was taken is said."""
    note = choose_image_input([spec(None, 784)]).note

    assert note is not None
    assert "28x28x1" in note


def test_a_model_without_inputs_is_refused():
    """No input at all is said in words."""
    with pytest.raises(NotAnImageModel, match="no input"):
        choose_image_input([])
