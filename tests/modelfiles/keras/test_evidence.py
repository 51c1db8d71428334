"""What a file tells about the preparation of its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tintype.modelfiles.description import Evidence


@pytest.fixture
def evidence(keras3, tmp_path: Path, save, describe, randomised) -> Callable[..., Evidence]:
    """Build a Sequential on 12 x 12 pictures and read its evidence."""

    def gather(*layers: Any, channels: int = 3) -> Evidence:
        model = keras3.Sequential([keras3.Input((12, 12, channels)), *layers])
        model.add(keras3.layers.Flatten())
        model.add(keras3.layers.Dense(2))
        return describe(save(randomised(model), tmp_path / "model.keras")).evidence

    return gather


def test_rescaling_and_normalization_are_composed(evidence, keras3) -> None:
    """Pixels / 255, then minus mean, divided by deviation: one scale and offset a channel."""
    layers = keras3.layers
    found = evidence(
        layers.Rescaling(1 / 255),
        layers.RandomFlip(),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.25, 0.04, 1.0]),
        layers.Conv2D(4, 3),
    ).affine
    np.testing.assert_allclose([1 / 127.5, 1 / 51, 1 / 255], found.scale, rtol=1e-6)
    np.testing.assert_allclose([-0.2, -1.0, -0.3], found.offset, rtol=1e-6)
    assert "rescaling" in found.where


def test_an_offset_is_scaled_by_what_follows(evidence, keras3) -> None:
    """(x - 100) / 50 and then halved."""
    layers = keras3.layers
    found = evidence(layers.Rescaling(1 / 50, offset=-2), layers.Rescaling(0.5)).affine
    np.testing.assert_allclose([0.01] * 3, found.scale, rtol=1e-6)
    np.testing.assert_allclose([-1.0] * 3, found.offset, rtol=1e-6)


def test_no_arithmetic_is_no_affine(evidence, keras3) -> None:
    """A convolution on the picture itself says nothing of a scale."""
    assert evidence(keras3.layers.Conv2D(4, 3)).affine is None


def test_padding_between_is_looked_through(evidence, keras3) -> None:
    """Zero padding before and a batch normalisation behind the first convolution."""
    layers = keras3.layers
    conv, norm = layers.Conv2D(4, 3), layers.BatchNormalization(epsilon=0.01)
    first = evidence(layers.ZeroPadding2D(), conv, norm).first_layers
    np.testing.assert_array_equal(np.asarray(conv.kernel), first.kernel)
    np.testing.assert_array_equal(np.asarray(conv.bias), first.bias)
    np.testing.assert_array_equal(np.asarray(norm.moving_variance), first.variance)
    assert (False, 0.01) == (first.rectified, first.epsilon)


@pytest.mark.parametrize("ceiling", [None, 6.0])
def test_rectified_before_batch_norm(evidence, keras3, ceiling) -> None:
    """A ReLU between is told, with its ceiling."""
    layers = keras3.layers
    first = evidence(
        layers.Conv2D(4, 3), layers.ReLU(max_value=ceiling), layers.BatchNormalization()
    ).first_layers
    assert (True, ceiling) == (first.rectified, first.ceiling)


def test_rectified_inside_the_convolution(evidence, keras3) -> None:
    """activation='relu' of the convolution counts as well."""
    layers = keras3.layers
    first = evidence(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization())
    assert first.first_layers.rectified


def test_other_curves_are_no_memory(evidence, keras3) -> None:
    """Behind a swish the statistics are of something else."""
    layers = keras3.layers
    stack = [layers.Conv2D(4, 3, activation="swish"), layers.BatchNormalization()]
    assert evidence(*stack).first_layers is None


def test_batch_norm_on_the_picture(evidence, keras3) -> None:
    """A batch normalisation on the picture itself remembers the picture."""
    first = evidence(keras3.layers.BatchNormalization(), keras3.layers.Conv2D(4, 3)).first_layers
    np.testing.assert_array_equal(np.eye(3, dtype=np.float32)[None, None], first.kernel)


def test_separable_kernel_is_multiplied_out(evidence, keras3) -> None:
    """Depthwise times pointwise is the kernel that the picture meets."""
    layers = keras3.layers
    conv = layers.SeparableConv2D(5, 3, depth_multiplier=2, use_bias=False)
    first = evidence(conv, layers.BatchNormalization()).first_layers
    picture = np.random.default_rng(0).normal(size=(1, 3, 3, 3)).astype(np.float32)
    expected = np.asarray(conv(picture)).reshape(-1)
    np.testing.assert_allclose(
        expected, np.einsum("hwc,hwcf->f", picture[0], first.kernel), atol=1e-5
    )


def test_resizing_inside(evidence, keras3) -> None:
    """A Resizing layer is told with its size and kind; the graph does it itself."""
    found = evidence(keras3.layers.Resizing(9, 8), keras3.layers.Conv2D(4, 3)).resize
    assert (9, 8, "tf2 bilinear", False) == (found.height, found.width, found.kind, found.cut)


def test_reversed_channels(keras3, tmp_path: Path, save, describe, randomised) -> None:
    """BGR inside the model: kernel and affine come in the order of the picture's channels."""
    layers = keras3.layers
    conv = layers.Conv2D(4, 3)
    picture = keras3.Input((12, 12, 3))
    x = layers.Rescaling([1.0, 1.0, 2.0])(picture[..., ::-1])
    x = layers.BatchNormalization()(conv(x))
    model = keras3.Model(picture, layers.Dense(2)(layers.Flatten()(x)))

    description = describe(save(randomised(model), tmp_path / "model.keras"))

    np.testing.assert_array_equal(
        np.asarray(conv.kernel)[:, :, ::-1], description.evidence.first_layers.kernel
    )
    assert (2.0, 1.0, 1.0) == description.evidence.affine.scale
    assert any("reorders" in note for note in description.notes)
