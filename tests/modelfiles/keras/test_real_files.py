"""A Teachable Machine export: the file that Keras 3 refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tintype.modelfiles.description import ModelDescription
from tintype.types import Activation, Format, Layout


@pytest.fixture(scope="module")
def path(data_folder: Path) -> Path:
    return data_folder / "models" / "teachable-machine" / "keras_model.h5"


@pytest.fixture(scope="module")
def description(path: Path, describe) -> ModelDescription:
    return describe(path)


def test_scores_are_those_of_tf_keras(path, description, keras2, run_openvino, run_onnxruntime):
    """Both engines answer as tf_keras' predict, within 1e-5."""
    batch = np.random.default_rng(0).uniform(-1, 1, (3, 224, 224, 3)).astype(np.float32)
    expected = keras2.models.load_model(path, compile=False).predict(batch, verbose=0)

    np.testing.assert_allclose(run_openvino(description, batch), expected, atol=1e-5)
    np.testing.assert_allclose(run_onnxruntime(description, batch), expected, atol=1e-5)


def test_what_it_is(description) -> None:
    """Writer, picture, answer and tool are told."""
    assert Format.KERAS_HDF5 == description.format
    assert "Keras 2.4.0 (tensorflow backend)" == description.writer
    assert (Layout.NHWC, 224, 224, 3) == (
        description.image.layout,
        description.image.height,
        description.image.width,
        description.image.channels,
    )
    assert (4, Activation.SOFTMAX) == (description.output.classes, description.output.activation)
    assert description.evidence.teachable_machine
    assert "mobilenetv2" == description.evidence.backbone


def test_its_first_layers(description) -> None:
    """The first convolution and what its batch normalisation remembers."""
    first = description.evidence.first_layers
    assert (3, 3, 3, 16) == first.kernel.shape
    assert ((16,), (16,)) == (first.mean.shape, first.variance.shape)
    assert "Conv1, bn_Conv1" == first.where
    assert not first.rectified


def test_layer_names_stay(description) -> None:
    """The layers' names can be found in the graph."""
    assert "block_1_expand (Conv)" in description.operations
    assert "Conv_1 (Conv)" in description.operations
