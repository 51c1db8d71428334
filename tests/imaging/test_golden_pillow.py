"""Tensors are bit-equal to what Keras' and Pillow's own loaders make."""

from io import BytesIO
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageOps

from tintype.imaging.recipe import parse_recipe

KERAS_MODES = {"keras-tf": "tf", "keras-caffe": "caffe", "keras-torch": "torch"}
FILTERS = ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
SIZES = [(224, 224), (160, 99), (9, 300)]


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras", reason="the reference framework is not installed")


def loaded(keras, data, size, **options):
    colours = "grayscale" if options.pop("grey", False) else "rgb"
    loaded_image = keras.utils.load_img(
        BytesIO(data), target_size=size, color_mode=colours, **options
    )
    return keras.utils.img_to_array(loaded_image)


def literally(preset, **options):
    """The preset with the two things that Tintype mends put back as the loader has them."""
    return parse_recipe(
        {"preset": preset, "orientation": "ignore", "depth16": "pillow_clip", **options}
    )


def pillow(data):
    return Image.open(BytesIO(data)).convert("RGB")


def torch_values(x):
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return (x.astype(np.float32) / np.float32(255) - mean) / std


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # Pillow, in load_img
def test_load_img(keras, picture, make_input, run, any_picture_name):
    """keras-load-img equals load_img with each interpolation, on every kind of picture."""
    data = picture(any_picture_name)
    for kind, size in product(FILTERS, SIZES):
        target = make_input(height=size[0], width=size[1])

        row = run(data, literally("keras-load-img", resize=kind), target)

        np.testing.assert_array_equal(loaded(keras, data, size, interpolation=kind), row)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # Pillow, in load_img
@pytest.mark.parametrize("preset", KERAS_MODES)
def test_keras_applications(keras, picture, make_input, run, any_picture_name, preset):
    """keras-tf, -caffe and -torch equal load_img and preprocess_input of that mode."""
    data = picture(any_picture_name)
    mode = KERAS_MODES[preset]
    preprocess = keras.src.applications.imagenet_utils.preprocess_input
    expected = preprocess(loaded(keras, data, (224, 224)), mode=mode)

    row = run(data, literally(preset), make_input())

    np.testing.assert_array_equal(expected, row)


def test_rescaled_generator(keras, picture, make_input, run):
    """values=x*(1/255) equals ImageDataGenerator(rescale=1./255), which multiplies."""
    data = picture("jpeg-420")
    expected = loaded(keras, data, (224, 224))
    expected *= 1.0 / 255

    row = run(data, literally("keras-load-img", values="x*(1/255)"), make_input())

    np.testing.assert_array_equal(expected, row)


@pytest.mark.parametrize("name", ["jpeg-420", "jpeg-grey", "png-rgb", "png-rgba", "png-palette"])
def test_grey_load_img(keras, picture, make_input, run, name):
    """A model of one channel gets what load_img(color_mode='grayscale') gives."""
    data = picture(name)

    row = run(data, literally("keras-load-img"), make_input(channels=1))

    np.testing.assert_array_equal(loaded(keras, data, (224, 224), grey=True), row)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # Pillow, in the reference
def test_teachable_machine(picture, make_input, run, any_picture_name):
    """teachable-machine equals its exported snippet: ImageOps.fit, Lanczos, x / 127.5 - 1."""
    data = picture(any_picture_name)
    fitted = ImageOps.fit(pillow(data), (224, 224), Image.Resampling.LANCZOS)
    expected = (np.asarray(fitted).astype(np.float32) / 127.5) - 1

    row = run(data, literally("teachable-machine"), make_input())

    np.testing.assert_array_equal(expected, row)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # Pillow, in the reference
@pytest.mark.parametrize(("size", "short"), [(224, 256), (299, 342)])
@pytest.mark.parametrize("preset", ["torchvision", "onnx-zoo"])
def test_torchvision(picture, make_input, run, any_picture_name, preset, size, short):
    """Torchvision equals short side, centre crop, ImageNet mean and std on a Pillow picture."""
    data = picture(any_picture_name)
    image = pillow(data)
    width, height = image.size
    if max(width, height) > 8 * min(width, height):
        return  # only the middle counts: see test_geometry
    if width <= height:
        wide, high = short, int(short * height / width)
    else:
        wide, high = int(short * width / height), short
    resized = image.resize((wide, high), Image.Resampling.BILINEAR)
    left, top = round((wide - size) / 2.0), round((high - size) / 2.0)
    expected = torch_values(np.asarray(resized.crop((left, top, left + size, top + size))))

    row = run(data, literally(preset), make_input(height=size, width=size))

    np.testing.assert_array_equal(expected, row)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # Pillow, in the reference
@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("raw", lambda x: x),
        ("imresize-2018", lambda x: x / np.float32(255)),
        ("tflite-metadata", lambda x: (x - np.float32(127.5)) / np.float32(127.5)),
    ],
)
def test_pillow_bilinear(picture, make_input, run, any_picture_name, preset, values):
    """raw, imresize-2018 and tflite-metadata are Pillow's bilinear and one value step."""
    data = picture(any_picture_name)
    resized = pillow(data).resize((224, 224), Image.Resampling.BILINEAR)

    row = run(data, literally(preset), make_input())

    np.testing.assert_array_equal(values(np.asarray(resized).astype(np.float32)), row)


@pytest.mark.parametrize("name", ["jpeg-420", "jpeg-wide", "jpeg-tall", "jpeg-small", "jpeg-1xn"])
def test_pad(picture, make_input, run, name):
    """geometry=pad with the Pillow engine equals ImageOps.pad."""
    data = picture(name)
    for kind in FILTERS:
        method = Image.Resampling[kind.upper()]
        expected = np.asarray(ImageOps.pad(pillow(data), (224, 160), method))

        recipe = literally("keras-load-img", geometry="pad", resize=kind)
        row = run(data, recipe, make_input(height=160, width=224))

        np.testing.assert_array_equal(expected.astype(np.float32), row)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(turned_jpeg, make_input, run, orientation):
    """Turned as views and then resized equals exif_transpose and then resize."""
    data = turned_jpeg(orientation)
    with Image.open(BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    for kind in FILTERS:
        resized = upright.resize((60, 80), Image.Resampling[kind.upper()])

        row = run(
            data,
            parse_recipe({"preset": "keras-load-img", "resize": kind}),
            make_input(height=80, width=60),
        )

        np.testing.assert_array_equal(np.asarray(resized).astype(np.float32), row)
