"""One row in the layout, dtype and quantisation that the input wants."""

from itertools import product

import numpy as np
import pytest

from tintype.imaging.orient import upright
from tintype.imaging.packed import empty
from tintype.imaging.prepare import prepare
from tintype.imaging.presets import PRESETS
from tintype.imaging.recipe import parse_recipe, parse_recipe_text
from tintype.types import Layout, Point

EVERY_LEVEL = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)


def row_of(pixels, text, target, point=None):
    return prepare(pixels, recipe=parse_recipe_text(text), target=target, point=point)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (Layout.NHWC, (24, 20, 3)),
        (Layout.NCHW, (3, 24, 20)),
        (Layout.FLAT, (1440,)),
    ],
)
def test_layouts(make_scene, make_input, layout, shape):
    """Each layout holds the same numbers, C-contiguous, without the batch axis."""
    target = make_input(height=24, width=20, layout=layout)
    plain = row_of(make_scene(), "keras-tf", make_input(height=24, width=20))

    row = row_of(make_scene(), "keras-tf", target)

    assert (shape, True) == (row.shape, row.flags.c_contiguous)
    expected = plain.transpose(2, 0, 1) if layout is Layout.NCHW else plain.reshape(shape)
    np.testing.assert_array_equal(expected, row)


def test_no_channel_axis(make_scene, make_input):
    """An input without a channel axis gets grey rows and columns."""
    target = make_input(height=28, width=28, channels=1, layout=Layout.NHW)

    row = row_of(make_scene()[:, :, :1], "keras-load-img,values=x/255", target)

    assert ((28, 28), np.float32) == (row.shape, row.dtype)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fills_every_input(make_scene, make_input, name):
    """Any preset goes with any number of channels and any dtype."""
    for channels, dtype in product([1, 3, 4], ["float32", "float16", "uint8", "int8"]):
        pixels = make_scene()[:, :, [0, 1, 2, 0]][:, :, :channels]
        target = make_input(height=32, width=32, channels=channels, dtype=dtype)

        row = prepare(pixels, recipe=PRESETS[name], target=target, point=None)

        assert ((32, 32, channels), dtype) == (row.shape, str(row.dtype))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_takes_every_shape(make_input, name):
    """A line of pixels, a single one and a very long one all work."""
    target = make_input(height=33, width=65)
    for shape in [(1, 1), (1, 300), (300, 1), (2, 2), (1, 9000), (9000, 1)]:
        pixels = np.full((*shape, 3), 99, dtype=np.uint8)

        row = prepare(pixels, recipe=PRESETS[name], target=target, point=None)

        assert (33, 65, 3) == row.shape


def test_any_size(make_scene, make_input):
    """A model that takes any size gets the picture's own, or that of the view."""
    target = make_input(height=None, width=None)

    whole = row_of(make_scene(), "keras-image-dataset", target)
    part = row_of(make_scene(), "keras-image-dataset,size=9", target, Point(x=50, y=60))

    np.testing.assert_array_equal(make_scene(), whole)
    np.testing.assert_array_equal(make_scene()[56:65, 46:55], part)


def test_view_then_resize(make_scene, make_input):
    """The view is cut first and then resized as the recipe says, as if it were the picture."""
    target = make_input(height=32, width=32)
    for name in ("keras-load-img", "teachable-machine", "keras-image-dataset-pad", "tf1-retrain"):
        alone = row_of(np.ascontiguousarray(make_scene()[10:110, 20:140]), name, target)
        cut = row_of(make_scene()[10:110, 20:140], name, target)

        np.testing.assert_array_equal(alone, cut)


@pytest.mark.parametrize("name", PRESETS)
def test_strides_do_not_matter(make_scene, make_input, name):
    """Turned and cut views of four-byte storage give the same as a plain copy of them."""
    stored = empty(height=97, width=130, channels=3)
    stored[:] = make_scene(130, 97)
    target = make_input(height=40, width=36)
    for orientation in range(1, 9):
        turned = upright(stored, orientation)[5:90, 7:81]

        row = prepare(turned, recipe=PRESETS[name], target=target, point=None)

        expected = prepare(turned.copy(), recipe=PRESETS[name], target=target, point=None)
        np.testing.assert_array_equal(expected, row)


@pytest.mark.parametrize("scale", [1 / 127.5, 1 / 128, 0.0078125, 0.00784314])
@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 128), ("uint8", 127), ("int8", -1),
                                             ("int8", 0)])  # fmt: skip
def test_scaling_and_quantisation_cancel(make_input, dtype, zero, scale):
    """With mean = std = 127.5 and the usual quantisation, levels go in as they are."""
    target = make_input(height=16, width=16, dtype=dtype, quantisation=(scale, zero))

    row = row_of(EVERY_LEVEL, "tflite-metadata", target)

    np.testing.assert_array_equal(EVERY_LEVEL.astype(np.int16) + np.iinfo(dtype).min, row)


@pytest.mark.parametrize("text", ["raw", "tf-od", "keras-image-dataset"])
def test_raw_levels_into_quantised_inputs(make_input, text):
    """Without a value step a quantised input gets the levels, whatever its scale."""
    target = make_input(height=16, width=16, dtype="uint8", quantisation=(0.0078125, 128))

    np.testing.assert_array_equal(EVERY_LEVEL, row_of(EVERY_LEVEL, text, target))


def test_quantisation(make_input):
    """Else round(x / scale) + zero point, halves away from zero, clipped."""
    target = make_input(height=16, width=16, dtype="int8", quantisation=(0.5, 3))

    row = row_of(EVERY_LEVEL, "raw,values=mean-std,mean=128,std=4", target)

    real = (np.arange(256) - 128) / 4 / 0.5
    expected = np.clip(np.trunc(real + np.copysign(0.5, real)) + 3, -128, 127)
    np.testing.assert_array_equal(expected.astype(np.int8), row[:, :, 0].ravel())


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e-40])
def test_a_senseless_scale_is_no_quantisation(make_input, scale):
    """What cannot be divided by is left out; levels come out rounded and clipped."""
    target = make_input(height=16, width=16, dtype="uint8", quantisation=(scale, 7))

    row = row_of(EVERY_LEVEL, "raw,values=mean-std,mean=0,std=0.5", target)

    assert (0, 255, 2) == (row.min(), row.max(), row[0, 1, 0])


def test_float16(make_input, make_scene):
    """float16 is the float32 result, rounded once."""
    wide = row_of(make_scene(), "keras-torch", make_input())

    row = row_of(make_scene(), "keras-torch", make_input(dtype="float16"))

    np.testing.assert_array_equal(wide.astype(np.float16), row)


def test_plain_uint8_is_rounded(make_input, make_scene):
    """A uint8 input without quantisation gets rounded levels of a float resize."""
    wide = row_of(make_scene(), "keras-image-dataset", make_input())

    row = row_of(make_scene(), "keras-image-dataset", make_input(dtype="uint8"))

    np.testing.assert_array_equal(np.rint(wide).astype(np.uint8), row)


def test_grey_models_take_the_mean_of_three_means(make_input):
    """For one channel, a mean a colour becomes one mean."""
    target = make_input(height=16, width=16, channels=1)

    row = row_of(EVERY_LEVEL[:, :, :1], "raw,values=mean-std,mean=10,20,60,std=2", target)

    np.testing.assert_array_equal((np.arange(256) - 30) / 2, row.ravel())


def test_wrong_channels_are_a_mistake_of_the_caller(make_input, make_scene):
    """Pixels decoded for another number of channels are not silently converted."""
    with pytest.raises(ValueError, match="3 channels, the input 1"):
        row_of(make_scene(), "raw", make_input(channels=1))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("keras-load-img", {"resize": "bilinear"}),
        ("keras-load-img", {"engine": "tf1"}),
        ("keras-load-img-bilinear", {"engine": "tf2"}),
        ("keras-image-dataset", {"engine": "tf1"}),
        ("keras-image-dataset", {"engine": "pillow"}),
        ("keras-image-dataset", {"dct": "islow"}),
        ("keras-image-dataset-crop", {"geometry": "stretch"}),
        ("keras-image-dataset-pad", {"geometry": "stretch"}),
        ("tf1-retrain", {"engine": "tf2"}),
        ("tf1-retrain", {"before_resize": False}),
        ("tf1-label-image", {"engine": "tf2"}),
        ("tfhub", {"values": "x/255"}),
        ("teachable-machine", {"resize": "bilinear"}),
        ("teachable-machine", {"geometry": "crop_to_aspect"}),
        ("torchvision", {"geometry": "stretch"}),
        ("custom-vision", {"order": "RGB"}),
        ("custom-vision", {"round": False}),
    ],
)
def test_a_changed_choice_changes_the_tensor(picture, make_input, run, name, change):
    """Each choice of a preset shows in the tensor, so the golden tests can fail."""
    data = picture("jpeg-420")

    plain = run(data, PRESETS[name], make_input())
    changed = run(data, parse_recipe({"preset": name, **change}), make_input())

    assert not np.array_equal(plain, changed)


def test_nearest_differs_between_engines_where_ties_round(picture, make_input, run):
    """At 3264 pixels to 224 TensorFlow's float32 nearest takes other columns than Pillow's."""
    data = picture("jpeg-3264")

    plain = run(data, PRESETS["keras-load-img"], make_input())
    changed = run(data, parse_recipe_text("keras-load-img,engine=tf2"), make_input())

    assert not np.array_equal(plain, changed)
