"""Which files make a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.parts import files_of
from tintype.types import Format

OPTIONS = ReadOptions()


def names(path: Path, format: Format) -> list[str]:  # noqa: A002 - the argument's own name
    """Relative to the folder of ``path``, or to the folder itself."""
    folder = path if path.is_dir() else path.parent
    found = files_of(path, format=format, options=OPTIONS)
    return [file.relative_to(folder).as_posix() for file in found]


def make(folder: Path, *files: str) -> None:
    """Empty files, in folders."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")


def test_a_file_alone(tmp_path: Path):
    """Whatever lies beside it."""
    make(tmp_path, "m.tflite", "labels.txt")
    assert ["m.tflite"] == names(tmp_path / "m.tflite", Format.TFLITE)


def test_a_saved_model_by_its_folder_or_its_file(tmp_path: Path):
    """Graph, variables, assets; not what people or Tintype put there."""
    make(
        tmp_path,
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets/words.txt",
        "labels.txt",
        "model.toml",
        "x.int8.xml",
        "x.int8.bin",
    )
    expected = [
        "assets/words.txt",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert expected == names(tmp_path, Format.TF_SAVED_MODEL)
    assert expected == names(tmp_path / "saved_model.pb", Format.TF_SAVED_MODEL)


def test_ir_has_its_weights_beside_it(tmp_path: Path):
    """The .bin, and no other."""
    assert ["m.xml", "m.bin"] == names(tmp_path / "m.xml", Format.OPENVINO_IR)


@pytest.mark.parametrize("outside", [True, False])
def test_onnx_with_weights_outside(tmp_path: Path, outside):
    """Every file that it names."""
    weights = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save_model(
        model,
        str(tmp_path / "m.onnx"),
        save_as_external_data=outside,
        location="weights.dat",
        size_threshold=0,
    )
    more = ["weights.dat"] if outside else []
    assert ["m.onnx", *more] == names(tmp_path / "m.onnx", Format.ONNX)


def test_keras_in_two_halves(tmp_path: Path, data_folder: Path):
    """Architecture and weights, whichever is named; a whole file is one file."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((4, 4, 3)), keras.layers.Conv2D(2, 3)])
    (tmp_path / "net.json").write_text(model.to_json())
    model.save_weights(tmp_path / "net.weights.h5")
    halves = ["net.json", "net.weights.h5"]
    assert halves == sorted(names(tmp_path / "net.json", Format.KERAS_HDF5))
    assert halves == sorted(names(tmp_path / "net.weights.h5", Format.KERAS_HDF5))
    whole = data_folder / "models/teachable-machine/keras_model.h5"
    assert ["keras_model.h5"] == names(whole, Format.KERAS_HDF5)
