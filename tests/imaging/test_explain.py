"""What the model saw, drawn and fingerprinted."""

import base64
import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tintype.imaging.explain import seen
from tintype.imaging.prepare import prepare
from tintype.imaging.presets import PRESETS
from tintype.imaging.recipe import expand, parse_recipe_text
from tintype.types import Layout


def drawn(what):
    head, _, body = what.png.partition(",")
    assert "data:image/png;base64" == head
    return np.asarray(Image.open(BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("layout", [Layout.NHWC, Layout.NCHW, Layout.FLAT])
def test_every_value_step_is_undone(make_scene, make_input, name, layout):
    """The drawn picture is the resized picture in levels, whatever scaling the preset has."""
    target = make_input(height=40, width=36, layout=layout)
    recipe = PRESETS[name]
    levels = prepare(
        make_scene(), recipe=parse_recipe_text(f"{name},values=none,order=RGB"),
        target=make_input(height=40, width=36), point=None,
    )  # fmt: skip

    row = prepare(make_scene(), recipe=recipe, target=target, point=None)

    picture = drawn(seen(row, recipe=recipe, target=target)).astype(np.float32)
    assert np.abs(levels - picture).max() <= 0.51


@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 128), ("int8", 0)])
@pytest.mark.parametrize("name", ["raw", "tflite-metadata", "keras-tf"])
def test_quantised(make_scene, make_input, dtype, zero, name):
    """A quantised row is drawn as the levels it stands for."""
    target = make_input(height=40, width=36, dtype=dtype, quantisation=(1 / 127.5, zero))
    recipe = parse_recipe_text(f"{name},engine=pillow,resize=bilinear")
    plain = prepare(
        make_scene(), recipe=parse_recipe_text("raw"), target=make_input(height=40, width=36),
        point=None,
    )  # fmt: skip

    row = prepare(make_scene(), recipe=recipe, target=target, point=None)

    np.testing.assert_array_equal(plain, drawn(seen(row, recipe=recipe, target=target)))


def test_fingerprint_range_and_recipe(make_scene, make_input):
    """Shape, dtype, sha256 and ranges are those of the tensor; the recipe is spelled out."""
    target, recipe = make_input(), PRESETS["keras-caffe"]
    row = prepare(make_scene(), recipe=recipe, target=target, point=None)

    what = seen(row, recipe=recipe, target=target)

    assert ((224, 224, 3), "float32", hashlib.sha256(row.tobytes()).hexdigest()) == (
        what.shape, what.dtype, what.sha256
    )  # fmt: skip
    assert ["blue", "green", "red"] == [channel.channel for channel in what.channels]
    assert [float(row[:, :, k].max()) for k in range(3)] == [c.maximum for c in what.channels]
    assert expand(recipe) == what.recipe


def test_grey(make_scene, make_input):
    """A grey row is drawn grey, and has one range."""
    target = make_input(height=28, width=28, channels=1, layout=Layout.NHW)
    recipe = parse_recipe_text("keras-load-img,values=x/255")
    row = prepare(make_scene()[:, :, :1], recipe=recipe, target=target, point=None)

    what = seen(row, recipe=recipe, target=target)

    assert ((28, 28), ("grey",)) == (drawn(what).shape, tuple(c.channel for c in what.channels))


def test_large_tensors_are_drawn_thinned(make_scene, make_input):
    """A tensor of thousands of pixels a side is drawn smaller; its shape tells the truth."""
    target, recipe = make_input(height=None, width=None, dtype="uint8"), PRESETS["tf-od"]
    row = prepare(make_scene(2100, 30), recipe=recipe, target=target, point=None)

    what = seen(row, recipe=recipe, target=target)

    assert ((30, 2100, 3), (10, 700, 3)) == (what.shape, drawn(what).shape)
