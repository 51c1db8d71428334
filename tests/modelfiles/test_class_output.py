from __future__ import annotations

import pytest

from tintype.errors import NotAnImageModel
from tintype.modelfiles.class_output import (
    Closing,
    activation_of,
    choose_class_output,
    class_output,
    count_classes,
    is_transparent,
)
from tintype.types import Activation, Quantisation, TensorSpec


def spec(*shape, dtype="float32", name="y", quantisation=None):
    return TensorSpec(name=name, shape=shape, dtype=dtype, quantisation=quantisation)


@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        ((None, 10), 10),
        ((1, 1001), 1001),
        ((None, 1), 1),
        ((None,), 1),
        ((1, 1, 1, 1001), 1001),
        ((None, 1000, 1, 1), 1000),
        ((1000,), None),
        ((), None),
        ((None, None), None),
        ((None, 84, 8400), None),
        ((None, 7, 7, 1280), None),
        ((None, 0), None),
        ((None, 1 << 30), None),
    ],
)
def test_classes_are_counted_whatever_the_shape(shape, classes):
    """One row of numbers a picture may have axes of one around it; maps and lists are no row."""
    assert classes == count_classes(shape)


@pytest.mark.parametrize(
    ("kind", "activation"),
    [
        ("Softmax", Activation.SOFTMAX),
        ("SOFTMAX", Activation.SOFTMAX),
        ("softmax", Activation.SOFTMAX),
        ("SoftMax", Activation.SOFTMAX),
        ("LOGISTIC", Activation.SIGMOID),
        ("Sigmoid", Activation.SIGMOID),
        ("STABLEHLO_LOGISTIC", Activation.SIGMOID),
        ("LOG_SOFTMAX", Activation.LOG_SOFTMAX),
        ("LogSoftmax", Activation.LOG_SOFTMAX),
        ("MatMul", None),
        ("Relu", None),
    ],
)
def test_activations_are_known_in_every_spelling(kind, activation):
    """TFLite, TensorFlow, Keras, ONNX and OpenVINO spell the same activation in their own ways."""
    assert activation is activation_of(kind)


@pytest.mark.parametrize("kind", ["Identity", "RESHAPE", "DEQUANTIZE", "Squeeze", "Convert"])
def test_hand_on_operations_close_nothing(kind):
    """Operations that change no number are looked through."""
    assert is_transparent(kind)


def test_a_quantised_output_from_zero_to_one_holds_probabilities():
    """Scale 1/256 from 0 on is how TFLite stores a softmax, whatever operation closes it."""
    quantised = spec(1, 5, dtype="uint8", quantisation=Quantisation(scale=1 / 256, zero_point=0))
    output = class_output(quantised, closing=Closing(kind="CONCATENATION"))

    assert output is not None
    assert Activation.PROBABILITIES is output.activation


def test_int8_probabilities_begin_at_minus_128():
    """The same for int8, where 0 is stored as -128."""
    stored = Quantisation(scale=1 / 256, zero_point=-128)
    output = class_output(spec(1, 5, dtype="int8", quantisation=stored), closing=None)

    assert output is not None
    assert Activation.PROBABILITIES is output.activation


def test_a_wider_quantised_output_holds_logits():
    """A quantised output that reaches beyond one is no probability."""
    stored = Quantisation(scale=0.1, zero_point=128)
    output = class_output(spec(1, 5, dtype="uint8", quantisation=stored), closing=None)

    assert output is not None
    assert Activation.LOGITS is output.activation


def test_the_reason_names_the_operation():
    """People read why an activation was taken."""
    output = class_output(spec(None, 3), closing=Closing(kind="Softmax", name="probs"))

    assert output is not None
    assert output.reason == "the last operation is Softmax (probs)"


def test_numbers_of_winners_are_no_scores():
    """An int64 [N] output (scikit-learn's label) is not taken for one class."""
    assert class_output(spec(None, dtype="int64"), closing=None) is None


def test_of_several_outputs_the_activated_one_answers():
    """Logits beside probabilities: the probabilities are taken, and it is said."""
    outputs = [spec(None, 4, name="logits"), spec(None, 4, name="probs")]
    chosen, note = choose_class_output(outputs, {"probs": Closing(kind="Softmax")})

    assert chosen.tensor.name == "probs"
    assert note is not None


def test_the_named_output_wins():
    """--output decides, with or without TensorFlow's :0."""
    outputs = [spec(None, 4, name="logits"), spec(None, 4, name="probs")]
    chosen, _ = choose_class_output(outputs, {}, wanted="logits:0")

    assert chosen.tensor.name == "logits"


def test_no_row_of_numbers_is_refused_with_the_shapes():
    """A YOLO-like output is named with its shape."""
    with pytest.raises(NotAnImageModel, match=r"\[N, 84, 8400\]"):
        choose_class_output([spec(None, 84, 8400)], {})


def test_an_unknown_name_lists_the_outputs():
    """A wrong --output is answered with the right names."""
    with pytest.raises(NotAnImageModel, match="the model has: y"):
        choose_class_output([spec(None, 4)], {}, wanted="nope")
