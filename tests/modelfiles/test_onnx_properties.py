"""Properties of a converted file: taken where they fit the graph, passed over where not."""

from __future__ import annotations

import pytest

from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.onnx_properties import carried_image, with_properties
from tintype.modelfiles.onnxfile import describe_onnx
from tintype.types import Activation, Layout, TensorSpec


def spec(*shape: int | None) -> TensorSpec:
    return TensorSpec(name="x", shape=shape)


@pytest.mark.parametrize(
    ("layout", "channels", "shape", "sides"),
    [
        ("NHWC", "3", (None, 7, 9, 3), (7, 9)),
        ("NHWC", "3", (None, None, None, 3), (None, None)),
        ("NCHW", "1", (4, 1, 7, 9), (7, 9)),
        ("NHW", "1", (None, 8, 8), (8, 8)),
        ("FLAT", "3", (None, 300), (10, 10)),
    ],
)
def test_the_input_is_as_told(layout, channels, shape, sides) -> None:
    """Also where the shape alone would not tell, or is too small to be guessed at."""
    told = {"tintype.layout": layout, "tintype.channels": channels}
    found = carried_image(told, spec(*shape))
    assert found is not None
    assert (Layout(layout), int(channels), *sides, shape[0]) == (
        found.layout, found.channels, found.height, found.width, found.batch
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "channels", "shape"),
    [
        ("NHWC", "3", (None, 3, 7, 9)),
        ("NCHW", "3", (None, 7, 9, 3)),
        ("NHWC", "3", (None, 300)),
        ("FLAT", "1", (None, 300)),
        ("NHWC", "2", (None, 7, 9, 2)),
        ("NHWC", "3", (None, -4, 9, 3)),
        ("upside down", "3", (None, 7, 9, 3)),
        ("NHWC", "three", (None, 7, 9, 3)),
        ("", "", (None, 7, 9, 3)),
    ],
)
def test_what_does_not_fit_is_passed_over(layout, channels, shape) -> None:
    """A stranger may write anything there."""
    told = {"tintype.layout": layout, "tintype.channels": channels}
    assert carried_image(told, spec(*shape)) is None


def test_a_strangers_properties_change_no_reading(tmp_path, small_onnx) -> None:
    """Nonsense under our keys leaves what is found by structure."""
    path = tmp_path / "m.onnx"
    path.write_bytes(small_onnx)
    plain = describe_onnx(path, options=ReadOptions())
    keys = ("layout", "channels", "output", "activation", "recipe", "labels", "format", "writer")
    path.write_bytes(with_properties(small_onnx, {f"tintype.{key}": "[nonsense" for key in keys}))
    odd = describe_onnx(path, options=ReadOptions())
    assert (plain.image, plain.output) == (odd.image, odd.output)


def test_the_activation_told_goes_before_the_last_operation(tmp_path, small_onnx) -> None:
    """A reader of Keras files knows more than the last operation tells."""
    path = tmp_path / "m.onnx"
    path.write_bytes(with_properties(small_onnx, {"tintype.activation": "probabilities"}))
    assert Activation.PROBABILITIES is describe_onnx(path, options=ReadOptions()).output.activation
