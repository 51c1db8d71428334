"""Files written by TensorFlow's own converter, read back. Imports TensorFlow once."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.errors import NotAnImageModel
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.tflite.describe import describe_tflite
from tintype.types import Activation, ClassOutput

tensorflow = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
keras = pytest.importorskip("keras", reason="the reference framework is not installed")


@pytest.fixture(scope="module")
def network():
    """A small Keras classifier with batch norm and a clipped rectifier."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, use_bias=False, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def converted(model, folder, **settings):
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        setattr(converter, name, value)
    path = folder / "m.tflite"
    path.write_bytes(converter.convert())
    return describe_tflite(path, options=ReadOptions())


@pytest.fixture(scope="module")
def kernel(network):
    """The kernel with its batch norm folded in, as the converter does it."""
    weights, gamma, _, _, variance = (np.asarray(w) for w in network.get_weights()[:5])
    return weights * gamma / np.sqrt(variance + 1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("half", [False, True])
def test_a_float_model(network, kernel, tmp_path, half):
    """Free batch, softmax, the converter's version, the folded kernel; float16 weights as well."""
    settings = {"optimizations": [tensorflow.lite.Optimize.DEFAULT]} if half else {}
    found = converted(network, tmp_path, **settings)

    assert found.image.batch is None
    assert isinstance(found.output, ClassOutput)
    assert (3, Activation.SOFTMAX) == (found.output.classes, found.output.activation)
    assert found.writer is not None
    assert f"TensorFlow {tensorflow.__version__}" in found.writer
    assert found.evidence.source == "keras"
    first = found.evidence.first_layers
    assert first is not None
    assert (True, 6.0) == (first.rectified, first.ceiling)
    np.testing.assert_allclose(kernel, first.kernel, atol=5e-3 if half else 1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_quantised_model(network, kernel, tmp_path, dtype):
    """Integers in and out, each with its quantisation; weights dequantised a channel."""
    pictures = np.random.default_rng(1).uniform(-1, 1, (10, 1, 16, 16, 3)).astype(np.float32)
    found = converted(
        network,
        tmp_path,
        optimizations=[tensorflow.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([picture] for picture in pictures),
        inference_input_type=tensorflow.dtypes.as_dtype(dtype),
        inference_output_type=tensorflow.dtypes.as_dtype(dtype),
    )
    spec = found.image.tensor

    assert dtype == spec.dtype
    assert spec.quantisation is not None
    assert spec.quantisation.scale == pytest.approx(2 / 255, rel=0.01)
    assert isinstance(found.output, ClassOutput)
    assert found.output.activation is Activation.SOFTMAX
    assert found.output.tensor.quantisation is not None
    assert found.evidence.first_layers is not None
    np.testing.assert_allclose(kernel, found.evidence.first_layers.kernel, atol=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_an_lstm_on_prices_is_refused_by_its_input(tmp_path):
    """A model of price series is no image model, whatever operators it needs."""
    model = keras.Sequential(
        [keras.Input((60, 1), batch_size=1), keras.layers.LSTM(4), keras.layers.Dense(1)]
    )
    operations = tensorflow.lite.OpsSet
    with pytest.raises(NotAnImageModel, match=r"60, 1\] float32"):
        converted(
            model,
            tmp_path,
            _experimental_lower_tensor_list_ops=False,
            target_spec=tensorflow.lite.TargetSpec(
                supported_ops=[operations.TFLITE_BUILTINS, operations.SELECT_TF_OPS]
            ),
        )
