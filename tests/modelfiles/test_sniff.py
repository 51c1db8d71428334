from __future__ import annotations

import pickle
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    UnknownModelFormat,
    UnsafeModel,
)
from tintype.modelfiles.sniff import sniff
from tintype.types import Format

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)


def message(size: int, number: int, payload: bytes) -> bytes:
    """One length-delimited protobuf field, its length written in ``size`` bytes of varint."""
    del size
    length, out = len(payload), b""
    while length > 127:
        out += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + out + bytes([length]) + payload


NODE = message(1, 1, message(1, 1, b"input") + message(1, 2, b"Placeholder"))
VERSIONS = message(1, 4, b"\x08\x1a")
SAVED_MODEL = b"\x08\x01" + message(1, 2, message(1, 1, b"\x0a\x00") + message(1, 2, NODE))
ONNX = b"\x08\x0a" + message(1, 2, b"pytorch") + message(1, 7, b"\x0a\x00") + message(1, 8, b"")
IR = b'<?xml version="1.0"?>\n<net name="x" version="11"><layers/></net>'

KNOWN = [
    pytest.param(HDF5, Format.KERAS_HDF5, id="HDF5"),
    pytest.param(bytes(512) + HDF5, Format.KERAS_HDF5, id="HDF5 behind a user block of 512"),
    pytest.param(bytes(2048) + HDF5, Format.KERAS_HDF5, id="HDF5 behind a user block of 2048"),
    pytest.param(b"\x1c\0\0\0TFL3" + bytes(50), Format.TFLITE, id="TFLite"),
    pytest.param(NODE + VERSIONS, Format.TF_FROZEN_GRAPH, id="frozen graph"),
    pytest.param(NODE + b"\x0a\xff\x7f", Format.TF_FROZEN_GRAPH, id="frozen graph cut short"),
    pytest.param(SAVED_MODEL, Format.TF_SAVED_MODEL, id="saved_model.pb"),
    pytest.param(ONNX, Format.ONNX, id="ONNX"),
    pytest.param(ONNX[:-3], Format.ONNX, id="ONNX cut short"),
    pytest.param(IR, Format.OPENVINO_IR, id="IR"),
    pytest.param(b"\xef\xbb\xbf" + IR, Format.OPENVINO_IR, id="IR with a BOM"),
]


@pytest.mark.parametrize(("content", "expected"), KNOWN)
def test_formats_are_told_by_content(write, content, expected):
    """The name says nothing: every file is called model.bin."""
    assert expected is sniff(write("model.bin", content))


STRANGERS = [
    pytest.param(b"version https://git-lfs.github.com/spec/v1\noid x\n", "Git LFS", id="LFS"),
    pytest.param(b"<!DOCTYPE html><html><head>", "web page", id="HTML"),
    pytest.param(b"\n  <html lang='en'>", "web page", id="HTML without a doctype"),
    pytest.param(b"\xff\xd8\xff\xe0" + bytes(50), "JPEG", id="a picture"),
    pytest.param(b"\x1f\x8b\x08" + bytes(50), "gzip", id="gzip"),
    pytest.param(b'{"format": "layers-model", "modelTopology": {}}', "TensorFlow.js", id="tfjs"),
    pytest.param(b'{"a": 1}', "JSON", id="JSON"),
    pytest.param(b'["cat", "dog"]', "JSON", id="labels in JSON"),
    pytest.param(b"[net]\nbatch=1\n", "Darknet", id="Darknet"),
    pytest.param(b'node {\n name: "x"', "written as text", id="pbtxt"),
    pytest.param(b"0 cat\n1 dog\n", "text file", id="labels"),
    pytest.param(b"\x20\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"}}', "safetensors", id="safetensors"),
    pytest.param(b"\0\0\0\0ORTM" + bytes(50), "ONNX Runtime", id="ort"),
    pytest.param(b"GGUF" + bytes(50), "GGUF", id="GGUF"),
    pytest.param(bytes(600), "no kind that is known", id="zeros"),
    pytest.param(b'model_checkpoint_path: "m"', "checkpoint", id="checkpoint index"),
]


@pytest.mark.parametrize(("content", "said"), STRANGERS)
def test_strangers_are_called_by_their_name(write, content, said):
    """What is no model is said to look like what it is, and what was expected."""
    with pytest.raises(UnknownModelFormat, match=said) as caught:
        sniff(write("model.h5", content))

    assert "expected a Keras file" in caught.value.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.ckpt-1.data-00000-of-00001", "checkpoint"),
        ("model.index", "checkpoint"),
        ("net.mlmodel", "CoreML"),
        ("net.caffemodel", "Caffe"),
        ("yolo.weights", "Darknet"),
    ],
)
def test_weights_without_a_mark_are_told_by_name(write, name, said):
    """Only where the content says nothing does the name count."""
    with pytest.raises(UnknownModelFormat, match=said):
        sniff(write(name, b"\x01\x02\x00\x80" * 50))


def test_the_bin_of_an_ir_points_to_its_xml(write):
    """The weights of OpenVINO IR are answered with the file to give."""
    write("net.xml", IR)
    with pytest.raises(UnknownModelFormat) as caught:
        sniff(write("net.bin", b"\x01\x02\x00\x80" * 50))

    assert caught.value.hint == "give the graph: net.xml"


def test_an_empty_file_is_damaged(write):
    """A file of no bytes was not copied."""
    with pytest.raises(ModelFileDamaged, match="is empty"):
        sniff(write("model.h5", b""))


def test_a_missing_path_is_said(tmp_path):
    """A path that leads nowhere is no traceback."""
    with pytest.raises(ModelFileError, match="does not exist"):
        sniff(tmp_path / "nope.h5")


class Harmful:
    """Pickled, it would run a command when opened."""

    def __reduce__(self):
        return (print, ("this must never be printed",))


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_refused_and_never_opened(write, capsys, protocol):
    """Every protocol is known; what it would import is named; nothing runs."""
    path = write("model.pkl", pickle.dumps({"net": Harmful(), "n": [1, 2, 3]}, protocol))
    with pytest.raises(UnsafeModel, match=r"pickle.*print"):
        sniff(path)

    assert capsys.readouterr().out == ""


def test_a_compressed_pickle_is_refused(write):
    """Joblib compresses with zlib."""
    with pytest.raises(UnsafeModel, match="pickle"):
        sniff(write("model.joblib", zlib.compress(pickle.dumps(Harmful()))))


ARCHIVES = [
    pytest.param(["m/data.pkl", "m/data/0"], UnsafeModel, "PyTorch", id="PyTorch"),
    pytest.param(["m/data.pkl", "m/code/a.py"], UnsafeModel, "TorchScript", id="TorchScript"),
    pytest.param(["a/model.pkl"], UnsafeModel, "pickles", id="pickles"),
    pytest.param(["keras_model.h5", "labels.txt"], UnknownModelFormat, "keras_model.h5", id="TM"),
    pytest.param(["m/saved_model.pb"], UnknownModelFormat, "saved_model.pb", id="SavedModel"),
    pytest.param(["a.npy", "b.npy"], UnknownModelFormat, "NumPy", id="npz"),
    pytest.param(["readme.md"], UnknownModelFormat, "zip archive", id="something"),
]


@pytest.mark.parametrize(("names", "error", "said"), ARCHIVES)
def test_archives_are_told_by_what_they_hold(write, zipped, names, error, said):
    """The directory is enough; nothing is unpacked."""
    with pytest.raises(error, match=said):
        sniff(write("model.zip", zipped(dict.fromkeys(names, b"x"))))


def test_a_keras_archive_is_known(write, zipped):
    """config.json and metadata.json make a .keras file."""
    content = zipped({"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b""})

    assert Format.KERAS_ZIP is sniff(write("model.zip", content))


def test_an_archive_cut_short_is_damaged(write, zipped):
    """Half a zip is said to be cut short."""
    with pytest.raises(ModelFileDamaged, match="cut short"):
        sniff(write("model.keras", zipped({"config.json": b"{}" * 1000})[:-40]))


def test_an_archive_with_a_huge_directory_is_refused(tmp_path):
    """An archive that declares a directory of a gigabyte is not listed."""
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    lying = content[: end + 12] + (1 << 30).to_bytes(4, "little") + content[end + 16 :]
    path.write_bytes(lying)
    with pytest.raises(ModelFileTooLarge, match="directory"):
        sniff(path)


def test_a_saved_model_folder_is_known(tmp_path):
    """saved_model.pb makes it."""
    (tmp_path / "saved_model.pb").write_bytes(SAVED_MODEL)

    assert Format.TF_SAVED_MODEL is sniff(tmp_path)


FOLDERS = [
    pytest.param({"1/saved_model.pb": b"x"}, "its folder 1 has", id="versions"),
    pytest.param({"saved_model.pbtxt": b"x"}, "as text", id="text"),
    pytest.param({"m.index": b"", "m.data-00000-of-00001": b""}, "checkpoints", id="checkpoint"),
    pytest.param({"a.h5": b"", "labels.txt": b""}, "it holds a.h5", id="a file inside"),
    pytest.param({}, "without a model", id="nothing"),
]


@pytest.mark.parametrize(("files", "said"), FOLDERS)
def test_folders_without_a_model_say_what_to_give(tmp_path, files, said):
    """A folder is answered with what lies in it."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownModelFormat, match=said):
        sniff(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imagenet-mobilenet-v1-float/model.tflite", Format.TFLITE),
        ("coco-ssd/model.tflite", Format.TFLITE),
        ("teachable-machine/keras_model.h5", Format.KERAS_HDF5),
        ("glasses-frozen-graph/retrained_graph.pb", Format.TF_FROZEN_GRAPH),
    ],
)
def test_real_files_are_told(data_folder, name, expected):
    """The real models are known for what they are."""
    assert expected is sniff(data_folder / "models" / name)


def test_real_pictures_are_no_models(data_folder):
    """No odd picture is mistaken for a model, and none crashes the sniffer."""
    for path in sorted((data_folder / "odd-images").iterdir()):
        if path.is_file():
            with pytest.raises(ModelFileError):
                sniff(path)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x08\x0a", b"\x0a\x10", b"PK\x03\x04", b"("])
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_bytes_raise_anything_else(tmp_path_factory, content, start):
    """Whatever a file begins with, a format or a ModelFileError comes out."""
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(start + content)
    try:
        found = sniff(path)
    except ModelFileError:
        return
    assert found in set(Format)


def test_an_architecture_is_half_a_keras_model(write):
    """The JSON of model.to_json(), also written as the text of a text; its weights lie beside."""
    for text in (
        b'{"class_name": "Model", "config": {}}',
        b'"{\\"class_name\\": 1, \\"config\\": 2}"',
    ):
        assert Format.KERAS_HDF5 == sniff(write("net.json", text))


def test_an_unpacked_keras_file(tmp_path):
    """The folder of model.save(path, zipped=False)."""
    for name in ("config.json", "metadata.json", "model.weights.h5"):
        (tmp_path / name).write_bytes(b"{}")
    assert Format.KERAS_ZIP == sniff(tmp_path)
