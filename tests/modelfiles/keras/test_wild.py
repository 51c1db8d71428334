"""Files as people make them: fine-tuned, augmented, checkpointed, with pre-processing inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tintype.errors import NotAnImageModel, UnsafeModel

Build = Callable[[Any], Any]

PREPROCESSINGS = (
    "convnext",
    "densenet",
    "efficientnet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3",
    "nasnet",
    "resnet50",
    "resnet_v2",
    "vgg16",
    "xception",
)


@pytest.fixture(params=["keras3.keras", "keras3.h5", "keras2.h5"])
def form(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A framework and the ending of the files it is to write."""
    name, _, ending = request.param.partition(".")
    return request.getfixturevalue(name), f".{ending}"


def test_what_each_application_does_to_its_pictures(form, tmp_path, assert_same, randomised):
    """``preprocess_input`` called in a functional model becomes operations in the graph."""
    keras, ending = form
    picture = keras.Input((8, 8, 3))
    rows = []
    for name in PREPROCESSINGS:
        prepared = getattr(keras.applications, name).preprocess_input(picture)
        rows.append(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(prepared)))
    model = keras.Model(picture, keras.layers.Concatenate()(rows))

    assert_same(randomised(model), tmp_path / f"model{ending}", low=0, high=255, tolerance=1e-4)


def _fine_tuned(name: str, side: int) -> Build:
    def build(keras: Any) -> Any:
        base = getattr(keras.applications, name)(
            include_top=False, weights=None, input_shape=(side, side, 3)
        )
        base.trainable = False
        picture = keras.Input((side, side, 3))
        row = keras.layers.GlobalAveragePooling2D()(base(picture, training=False))
        return keras.Model(picture, keras.layers.Dense(3, activation="softmax")(row))

    return build


def _augmented(keras: Any) -> Any:
    layers = keras.layers
    augmentation = keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)],
        name="data_augmentation",
    )
    body = [layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPooling2D(), layers.Dense(3)]
    return keras.Sequential(
        [keras.Input((16, 16, 3)), augmentation, layers.Rescaling(1 / 255), *body]
    )


def _functions_of_tensorflow(keras: Any) -> Any:
    """Activations given as TensorFlow's functions, of which a file has the name alone."""
    import tensorflow as tf

    layers = keras.layers
    functions = (tf.nn.relu6, tf.nn.swish, tf.nn.leaky_relu, tf.nn.gelu, tf.nn.softmax, tf.nn.elu)
    body = [layers.Conv2D(4, 3, activation=function) for function in functions]
    return keras.Sequential([keras.Input((16, 16, 3)), *body, layers.Flatten(), layers.Dense(3)])


MODELS: dict[str, Build] = {
    "ConvNeXt fine-tuned": _fine_tuned("ConvNeXtTiny", 32),
    "EfficientNet fine-tuned": _fine_tuned("EfficientNetB0", 32),
    "augmentation in front": _augmented,
    "functions of TensorFlow": _functions_of_tensorflow,
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_people(name, form, tmp_path, assert_same, randomised):
    """They answer as the framework does."""
    keras, ending = form
    model = randomised(MODELS[name](keras))

    assert_same(model, tmp_path / f"model{ending}", low=0, high=255 if "in front" in name else 1)


def test_a_checkpoint(keras2, tmp_path, describe, run_openvino):
    """What ModelCheckpoint leaves while a model is trained: the best, with its optimiser."""
    layers = keras2.layers
    path = tmp_path / "best_model.hdf5"
    random = np.random.default_rng(1)
    body = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)]
    model = keras2.Sequential([keras2.Input((8, 8, 3)), *body, layers.Softmax()])
    model.compile("adam", "sparse_categorical_crossentropy")
    pictures, classes = random.uniform(0, 1, (8, 8, 8, 3)), random.integers(0, 3, 8)
    keep = keras2.callbacks.ModelCheckpoint(str(path), monitor="loss", save_best_only=True)
    with pytest.warns(UserWarning, match="HDF5"):
        model.fit(pictures, classes, callbacks=[keep], verbose=0)
    batch = random.uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)

    actual = run_openvino(describe(path), batch)
    np.testing.assert_allclose(actual, np.asarray(model(batch, training=False)), atol=1e-5)


def test_preprocessing_by_code(form, tmp_path, save, describe):
    """``Lambda(preprocess_input)`` is refused by the layer's name, with what to do."""
    keras, ending = form
    layers = keras.layers
    prepare = layers.Lambda(keras.applications.resnet50.preprocess_input, name="prepare")
    body = [prepare, layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *body])

    with pytest.raises(UnsafeModel, match="'prepare' is a Lambda") as refused:
        describe(save(model, tmp_path / f"model{ending}"))
    assert "--allow-code" in str(refused.value.hint)


def test_two_pictures_at_once(form, tmp_path, save, describe):
    """A Siamese network compares two pictures: no answer about one."""
    keras, ending = form
    layers = keras.layers
    tower = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4)])
    one, other = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="other")
    far = layers.Subtract()([tower(one), tower(other)])
    model = keras.Model([one, other], layers.Dense(1, activation="sigmoid")(far))

    with pytest.raises(NotAnImageModel, match="needs 2 inputs at once"):
        describe(save(model, tmp_path / f"model{ending}"))


def test_a_video(form, tmp_path, save, describe):
    """A network over frames takes a series of pictures."""
    keras, ending = form
    layers = keras.layers
    body = [layers.TimeDistributed(layers.Flatten()), layers.LSTM(3), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4, 8, 8, 3)), *body])

    with pytest.raises(NotAnImageModel, match="a video"):
        describe(save(model, tmp_path / f"model{ending}"))
