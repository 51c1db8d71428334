"""Tensors are bit-equal to TensorFlow's own, and to Keras' loaders that use it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from PIL import Image

from tintype.errors import ImageError
from tintype.imaging.recipe import parse_recipe

SIZES = [(224, 224), (96, 131)]
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BLACKENED = {"rotating-squares.gif", "grey-plus-alpha.gif"}
DATASETS = {
    "keras-image-dataset": {},
    "keras-image-dataset-crop": {"crop_to_aspect_ratio": True},
    "keras-image-dataset-pad": {"pad_to_aspect_ratio": True},
}
TF1_NAMES = {
    "nearest": "NEAREST_NEIGHBOR",
    "bilinear": "BILINEAR",
    "bicubic": "BICUBIC",
    "area": "AREA",
}
KINDS = list(TF1_NAMES)


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow", reason="the reference framework is not installed")


@pytest.fixture(scope="module")
def keras(tf):
    assert tf
    return pytest.importorskip("keras", reason="the reference framework is not installed")


def decoded(tf, data, channels=3):
    return tf.io.decode_image(data, channels=channels, expand_animations=False)


def literally(preset, **options):
    """The preset without the one thing that Tintype mends."""
    return parse_recipe({"preset": preset, "orientation": "ignore", **options})


def ending(data):
    return {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp"}[data[:2]]


def dataset(keras, pictures, folder, size, **options):
    """Run ``image_dataset_from_directory`` over pictures and return a tensor for each name."""
    (folder / "class").mkdir()
    for name, data in pictures.items():
        (folder / "class" / f"{name}{ending(data)}").write_bytes(data)
    found = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=size, batch_size=1, shuffle=False, verbose=False, **options
    )
    names = [path.rsplit("/", 1)[-1].partition(".")[0] for path in found.file_paths]
    return dict(zip(names, (batch.numpy()[0] for batch in found), strict=True))


@pytest.mark.parametrize("preset", DATASETS)
def test_image_dataset(keras, pictures, make_input, run, tmp_path, preset):
    """The keras-image-dataset presets equal image_dataset_from_directory, file to tensor."""
    if preset.endswith("pad"):  # TensorFlow refuses these: the fitted side would be zero
        pictures = {k: v for k, v in pictures.items() if k not in {"jpeg-1xn", "jpeg-nx1"}}
    expected = dataset(keras, pictures, tmp_path, (180, 160), **DATASETS[preset])
    target = make_input(height=180, width=160)

    for name, data in pictures.items():
        row = run(data, literally(preset), target)

        np.testing.assert_array_equal(expected[name], row, err_msg=name)


def test_image_resize(tf, picture, make_input, run, picture_name):
    """Each kind of the tf2 engine equals tf.image.resize."""
    data = picture(picture_name)
    for kind, (height, width) in product(KINDS, SIZES):
        expected = tf.image.resize(decoded(tf, data), (height, width), method=kind)

        recipe = literally("keras-image-dataset", resize=kind)
        row = run(data, recipe, make_input(height=height, width=width))

        np.testing.assert_array_equal(tf.cast(expected, tf.float32).numpy(), row)


def test_tf1_resize(tf, picture, make_input, run, picture_name):
    """Each kind of the tf1 engine equals TF1's resize_images."""
    data = picture(picture_name)
    v1 = tf.compat.v1.image
    for kind, (height, width) in product(KINDS, SIZES):
        method = getattr(v1.ResizeMethod, TF1_NAMES[kind])
        expected = v1.resize_images(decoded(tf, data), (height, width), method=method)

        recipe = literally("tf1-retrain", values="none", resize=kind)
        row = run(data, recipe, make_input(height=height, width=width))

        np.testing.assert_array_equal(tf.cast(expected, tf.float32).numpy(), row)


def test_tf1_retrain(tf, picture, make_input, run, picture_name):
    """tf1-retrain equals retrain.py: convert_image_dtype, then TF1's resize_bilinear."""
    data = picture(picture_name)
    numbers = tf.image.convert_image_dtype(decoded(tf, data), tf.float32)
    for height, width in SIZES:
        expected = tf.compat.v1.image.resize_bilinear(numbers[None], (height, width))[0].numpy()

        row = run(data, literally("tf1-retrain"), make_input(height=height, width=width))

        np.testing.assert_array_equal(expected, row)


def test_tf1_label_image(tf, picture, make_input, run, picture_name):
    """tf1-label-image equals label_image.py: resize_bilinear, minus mean, divided by std."""
    data = picture(picture_name)
    numbers = tf.cast(decoded(tf, data), tf.float32)[None]
    resized = tf.compat.v1.image.resize_bilinear(numbers, (224, 224))[0]
    for mean, std in [(0.0, 255.0), (127.5, 127.5), (128.0, 128.0)]:
        expected = tf.divide(tf.subtract(resized, [mean]), [std]).numpy()

        row = run(data, literally("tf1-label-image", mean=mean, std=std), make_input())

        np.testing.assert_array_equal(expected, row)


def test_tfhub(keras, tf, picture, make_input, run, picture_name):
    """Tfhub equals decode, tf.image.resize and a Rescaling(1/255) layer."""
    data = picture(picture_name)
    resized = tf.image.resize(decoded(tf, data), (224, 224))
    expected = keras.layers.Rescaling(1.0 / 255)(resized).numpy()

    row = run(data, literally("tfhub"), make_input())

    np.testing.assert_array_equal(expected, row)


def test_tf_od(tf, picture, make_input, run, picture_name):
    """tf-od equals decode_image: uint8 at the picture's own size."""
    data = picture(picture_name)

    row = run(data, literally("tf-od"), make_input(height=None, width=None, dtype="uint8"))

    np.testing.assert_array_equal(decoded(tf, data).numpy(), row)


@pytest.mark.parametrize("preset", ["custom-vision", "efficientnet-lite"])
def test_opencv_presets(tf, picture, make_input, run, preset):
    """The presets made after OpenCV's bilinear are TensorFlow's, rounded to whole levels.

    Equality with OpenCV itself is not promised: its 11-bit fixed point may differ by one level.
    """
    data = picture("png-rgb")
    height, width = decoded(tf, data).shape[:2]
    resized = tf.image.resize(decoded(tf, data), (256, int(256 * width / height)))
    left = round((resized.shape[1] - 224) / 2)
    levels = tf.round(resized)[16:240, left : left + 224].numpy()
    expected = levels[:, :, ::-1] if preset == "custom-vision" else (levels - 127) / 128

    row = run(data, literally(preset), make_input())

    np.testing.assert_array_equal(expected.astype(np.float32), row)


GREY = [
    "jpeg-420", "jpeg-444", "jpeg-grey", "jpeg-progressive",
    "png-rgb", "png-grey", "png-grey-16", "png-la", "png-rgba", "png-palette", "png-1-bit",
]  # fmt: skip


def test_grey_image_dataset(keras, pictures, make_input, run, tmp_path):
    """A model of one channel gets what color_mode='grayscale' of the dataset gives."""
    pictures = {name: pictures[name] for name in GREY}
    expected = dataset(keras, pictures, tmp_path, (64, 64), color_mode="grayscale")
    target = make_input(height=64, width=64, channels=1)

    for name, data in pictures.items():
        row = run(data, literally("keras-image-dataset"), target)

        np.testing.assert_array_equal(expected[name], row, err_msg=name)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("preset", ["keras-image-dataset", "tf1-retrain"])
def test_orientations(tf, turned_jpeg, make_input, run, orientation, preset):
    """Applied as views, an orientation equals turning TensorFlow's pixels and then resizing."""
    data = turned_jpeg(orientation)
    upright = Image.fromarray(decoded(tf, data).numpy()).transpose(TURNS[orientation])
    if preset == "tf1-retrain":
        numbers = tf.image.convert_image_dtype(np.asarray(upright), tf.float32)
        expected = tf.compat.v1.image.resize_bilinear(numbers[None], (80, 60))[0]
    else:
        expected = tf.image.resize(np.asarray(upright), (80, 60))

    row = run(data, parse_recipe({"preset": preset}), make_input(height=80, width=60))

    np.testing.assert_array_equal(expected.numpy(), row)


@pytest.mark.parametrize(
    "name",
    ["images/parrot.jpg", "images/burger.jpg", "images/cat_720p.jpg", "images/cats_and_dogs.jpg",
     "images/phone-12mp-a.jpg", "images/phone-12mp-b.jpg", "images/sparrow.png"],
)  # fmt: skip
@pytest.mark.parametrize("preset", ["keras-image-dataset", "tf1-label-image"])
def test_photos(tf, data_folder, make_input, run, name, preset):
    """Real photos, from cameras and phones, come out as TensorFlow's own."""
    data = (data_folder / name).read_bytes()
    numbers = tf.cast(decoded(tf, data), tf.float32)
    if preset == "tf1-label-image":
        expected = tf.compat.v1.image.resize_bilinear(numbers[None], (299, 299))[0] / 255
    else:
        expected = tf.image.resize(numbers, (299, 299))

    row = run(data, literally(preset), make_input(height=299, width=299))

    np.testing.assert_array_equal(expected.numpy(), row)


def test_odd_images(tf, data_folder, make_input, run):
    """Of the odd pictures, all that TensorFlow opens too come out as its own, with two exceptions.

    CMYK is turned into RGB by Pillow (up to 5 levels off), and TensorFlow paints what is
    transparent in a GIF black, where Pillow shows the palette's colour.
    """
    target = make_input(height=None, width=None, dtype="uint8")
    compared = 0
    for path in sorted((data_folder / "odd-images").rglob("*")):
        if path.suffix not in {".jpg", ".jpeg", ".png", ".gif"} or path.name in BLACKENED:
            continue
        try:
            row = run(path.read_bytes(), literally("tf-od"), target)
        except ImageError:
            continue
        expected = decoded(tf, path.read_bytes()).numpy().astype(np.int16)
        allowed = 5 if "CMYK" in path.name else 0
        assert np.abs(expected - row).max() <= allowed, path.name
        compared += 1
    assert compared > 70
