from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tintype.errors import ModelFileError, ModelFileTooLarge, UnknownModelFormat
from tintype.modelfiles import open as door
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.open import describe
from tintype.types import Format


def test_content_decides_and_not_the_name(write, small_tflite, small_onnx):
    """A TFLite file called .onnx and the other way round are read as what they are."""
    assert Format.TFLITE is describe(write("a.onnx", small_tflite)).format
    assert Format.ONNX is describe(write("a.tflite", small_onnx)).format


def test_every_format_has_a_reader():
    """The table names a function that exists for each format that is a file."""
    assert set(Format) - {Format.TF_SERVING} == set(door._READERS)
    for module, function in door._READERS.values():
        assert callable(getattr(importlib.import_module(module), function))


def test_a_file_above_the_limit_is_not_read(write, small_tflite):
    """max_bytes counts for the file itself."""
    with pytest.raises(ModelFileTooLarge, match="limit of 100"):
        describe(write("a.tflite", small_tflite), options=ReadOptions(max_bytes=100))


def test_a_folder_above_the_limit_is_not_read(tmp_path):
    """max_bytes counts for a SavedModel's files together, its variables above all."""
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x02\x0a\x00")
    (tmp_path / "variables").mkdir()
    for part in ("a", "b"):
        (tmp_path / "variables" / part).write_bytes(bytes(60))
    with pytest.raises(ModelFileTooLarge, match="limit"):
        describe(tmp_path, options=ReadOptions(max_bytes=100))


def test_a_saved_models_graph_under_another_name_is_refused(write):
    """Without its folder it has no weights."""
    with pytest.raises(UnknownModelFormat, match="another name"):
        describe(write("net.pb", b"\x08\x01\x12\x04\x0a\x02\x0a\x00"))


def test_what_the_system_refuses_is_said(tmp_path):
    """A name no file can have is a ModelFileError, not an OSError."""
    with pytest.raises(ModelFileError):
        describe(tmp_path / ("x" * 300))


def test_no_heavy_library_is_imported_with_the_door():
    """Serve must be ready within a second: readers come with the first file of their format."""
    code = (
        "import sys, tintype.modelfiles.open, tintype.modelfiles.labels\n"
        "print(sorted({'h5py', 'onnx', 'openvino', 'ai_edge_litert', 'google.protobuf'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
