"""Whole architectures with random weights, from both frameworks and both containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ARCHITECTURES = {
    # name: (side of the picture, backbone, the affine the model brings along)
    "MobileNet": (96, "mobilenet", False),
    "MobileNetV2": (96, "mobilenetv2", False),
    "ResNet50": (64, "resnet50", False),
    "EfficientNetB0": (64, "efficientnetb0", True),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("form", ["keras3.keras", "keras2.h5"])
def test_architecture(name, form, request, tmp_path: Path, assert_same, randomised) -> None:
    """The probabilities are those of the framework, and the architecture is recognised."""
    framework, _, ending = form.partition(".")
    keras = request.getfixturevalue(framework)
    side, backbone, has_affine = ARCHITECTURES[name]
    build = getattr(keras.applications, name)
    model = build(weights=None, classes=7, input_shape=(side, side, 3))

    description = assert_same(
        randomised(model), tmp_path / f"model.{ending}", high=255 if has_affine else 1
    )

    assert backbone == description.evidence.backbone
    assert has_affine == (description.evidence.affine is not None)
    assert ["Transpose"] == [
        operation.rpartition("(")[2][:-1]
        for operation in description.operations
        if "Transpose" in operation
    ], "one transpose, at the picture input"


@pytest.fixture(scope="module")
def transfer(keras2, tmp_path_factory, save) -> tuple[Any, Path]:
    """A head on a frozen, nested MobileNetV2: how most people train."""
    layers = keras2.layers
    base = keras2.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.35
    )
    base.trainable = False
    picture = keras2.Input((64, 64, 3), name="picture")
    x = base(layers.RandomFlip()(picture), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras2.Model(picture, layers.Dense(3, activation="softmax", name="answer")(x))
    random = np.random.default_rng(0)
    for weight in model.weights:
        spread = 0.1 if "kernel" in weight.name else 0.0
        low = 0.5 if "gamma" in weight.name or "variance" in weight.name else -0.2
        weight.assign(random.uniform(low, low + 0.4 + spread, weight.shape))
    return model, save(model, tmp_path_factory.mktemp("transfer") / "transfer.h5")


def test_transfer_learning(transfer, describe, run_openvino) -> None:
    """A nested frozen model keeps its weights apart: each must reach its own layer."""
    model, path = transfer
    batch = np.random.default_rng(1).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)

    actual = run_openvino(describe(path), batch)

    np.testing.assert_allclose(actual, np.asarray(model(batch, training=False)), atol=1e-5)


def test_a_batch_answers_as_its_members_alone(transfer, describe, run_openvino) -> None:
    """Five pictures at once and one by one give the same rows."""
    description = describe(transfer[1])
    batch = np.random.default_rng(2).uniform(-1, 1, (5, 64, 64, 3)).astype(np.float32)

    together = run_openvino(description, batch)
    alone = [run_openvino(description, batch[number : number + 1])[0] for number in range(5)]

    np.testing.assert_allclose(together, np.stack(alone), atol=1e-6)


def test_summary_is_that_of_keras(transfer, describe) -> None:
    """Names, output shapes and numbers of parameters, nested models as one line."""
    model, path = transfer
    expected = [
        (layer.name, tuple(layer.output_shape[0]) if isinstance(layer.output_shape, list)
         else tuple(layer.output_shape), layer.count_params())
        for layer in model.layers
    ]  # fmt: skip
    actual = [(layer.name, layer.shape, layer.parameters) for layer in describe(path).layers]
    assert expected == actual


def test_shared_layers(keras3, tmp_path: Path, assert_same, randomised) -> None:
    """A layer, and a nested model, called twice have their weights once in the graph."""
    layers = keras3.layers
    part = keras3.Input((6, 6, 4))
    tower = keras3.Model(part, layers.Conv2D(4, 3, padding="same", name="shared")(part))
    picture = keras3.Input((6, 6, 4))
    x = tower(tower(picture))
    dense = layers.Dense(4)
    row = layers.GlobalAveragePooling2D()(x)
    model = keras3.Model(picture, dense(dense(row)))

    description = assert_same(randomised(model), tmp_path / "model.keras")
    weights = sum(int(np.prod(weight.shape)) for weight in model.weights) * 4
    assert len(description.graph.source) < 2 * weights + 4000
    assert_same(model, tmp_path / "model.h5")
