"""Files that are no model Tintype reads, told by content: what each looks like, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tintype.errors import ModelFileDamaged, TintypeError, UnknownModelFormat, UnsafeModel

_EXPECTED = (
    "expected a Keras file (.h5, .keras), a frozen graph (.pb), a SavedModel folder, TFLite, ONNX "
    "or OpenVINO IR (.xml)"
)
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".tflite", ".onnx", ".pb", ".xml")
_MOST_ENTRIES = 10_000

# First bytes, what they are, what to do. The first that fits counts.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer: the file itself was never downloaded",
        "run `git lfs pull` in its repository, or download the file from its page",
    ),
    (b"\x1f\x8b", "a gzip archive", "unpack it and give the model inside"),
    (b"BZh", "a bzip2 archive", "unpack it and give the model inside"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it and give the model inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the model inside"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it and give the model inside"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it and give the model inside"),
    (b"\xff\xd8\xff", "a JPEG picture", "give the model first, then the picture"),
    (b"\x89PNG", "a PNG picture", "give the model first, then the picture"),
    (b"GIF8", "a GIF picture", "give the model first, then the picture"),
    (b"%PDF", "a PDF document", "give the model file"),
    (b"GGUF", "a GGUF file of a language model", "Tintype serves models that look at pictures"),
    (b"\x93NUMPY", "a NumPy array", "give the whole model, not an array of weights"),
    (
        b"model_checkpoint_path",
        "the index of a TensorFlow checkpoint, which has weights but no graph",
        "load it in TensorFlow and export a SavedModel",
    ),
)
_AT_FOUR: tuple[tuple[bytes, str, str], ...] = (
    (b"ORTM", "an ONNX Runtime file (.ort)", "give the .onnx file it was made from"),
)


def refuse_content(path: Path, head: bytes, size: int) -> TintypeError:
    """Make the error for a file that is no model: empty, text, an archive, a picture ..."""
    if size == 0:
        return ModelFileDamaged(f"{path.name} is empty", hint="copy or download the file again")
    for magic, what, todo in _MAGIC:
        if head.startswith(magic):
            return _unknown(path, what, todo)
    for magic, what, todo in _AT_FOUR:
        if head[4:8] == magic:
            return _unknown(path, what, todo)
    if head[257:262] == b"ustar":
        return _unknown(path, "a tar archive", "unpack it and give the model inside")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < max(size, 100 << 20):
        return _unknown(
            path,
            "a safetensors file, which has weights but no graph",
            "export the model to ONNX in the framework that made it",
        )
    text = bool(head) and not any(byte < 9 or 13 < byte < 27 for byte in head[:2048])
    return (
        _by_text(path, head)
        or _by_name(path)
        or _unknown(path, "a text file" if text else None, None)
    )


def refuse_archive(path: Path, names: Sequence[str]) -> TintypeError:
    """Make the error for a zip archive that is no .keras file."""
    inside = [PurePosixPath(name) for name in names[:5000]]
    code = _code_inside(inside)
    if code is not None:
        return UnsafeModel(
            f"{path.name} is {code}: opening one runs whatever code its maker put in; it was not "
            "opened",
            hint="export the model in its framework: PyTorch to ONNX, Keras to .keras",
        )
    if any(name.suffix == ".mlmodel" or ".mlpackage" in str(name) for name in inside):
        return _unknown(path, "a CoreML package", "export the model to ONNX instead")
    if inside and all(name.suffix == ".npy" for name in inside):
        return _unknown(path, "NumPy arrays (.npz)", "give the whole model, not its weights")
    for name in inside:
        if name.suffix in _MODEL_SUFFIXES or name.name == "saved_model.pb":
            what = f"a zip archive that holds {str(name)[:100]}"
            return _unknown(path, what, "unpack it and give that file or folder")
    return _unknown(path, "a zip archive without a model that is known", None)


def _code_inside(inside: Sequence[PurePosixPath]) -> str | None:
    if any(name.name == "data.pkl" for name in inside):
        script = any("code" in name.parts for name in inside)
        return (
            "a TorchScript program" if script else "a PyTorch file, a Python pickle in an archive"
        )
    pickled = any(name.suffix in (".pkl", ".pickle", ".joblib") for name in inside)
    return "an archive of Python pickles" if pickled else None


def refuse_folder(path: Path) -> UnknownModelFormat:
    """Make the error for a folder without saved_model.pb: what it holds, and what to give."""
    entries = sorted(entry for _, entry in zip(range(_MOST_ENTRIES), path.iterdir(), strict=False))
    for entry in entries:
        if entry.is_dir() and (entry / "saved_model.pb").is_file():
            return UnknownModelFormat(
                f"{path} has no saved_model.pb itself, but its folder {entry.name} has",
                hint=f"give that folder: {entry}",
            )
    kind = _folder_kind({entry.name for entry in entries})
    if kind is not None:
        return _unknown(path, *kind)
    models = [entry for entry in entries if entry.suffix in _MODEL_SUFFIXES]
    if models:
        listed = ", ".join(entry.name for entry in models[:5])
        return UnknownModelFormat(
            f"{path} is a folder without saved_model.pb; it holds {listed}",
            hint=f"give the file: {models[0]}",
        )
    return UnknownModelFormat(f"{path} is a folder without a model, {_EXPECTED}")


def _folder_kind(names: set[str]) -> tuple[str, str] | None:
    if "saved_model.pbtxt" in names:
        return "a SavedModel written as text", "export it again in binary form"
    if any(".data-0000" in name or name.endswith(".index") for name in names):
        return (
            "a folder of TensorFlow checkpoints, which have weights but no graph",
            "load one in TensorFlow and export a SavedModel",
        )
    return None


# Beginnings of texts (lower case, blanks in front left out), what they are, what to do.
_TEXTS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    (
        (b"<!doctype html", b"<html"),
        "a web page: the download went wrong, or asked for a login",
        "download the file itself, with the page's download or raw link",
    ),
    ((b"[net]", b"[convolutional]"), "a Darknet configuration", "convert the network to ONNX"),
    (
        (b"node {", b"node{", b"graph_def {", b"meta_graphs {"),
        "a TensorFlow graph written as text",
        "save it in binary form (as_text=False)",
    ),
    (
        (b"name:", b"layer {", b"layers {", b"input:"),
        "a Caffe network or another protobuf text",
        "convert it to ONNX",
    ),
)


def _by_text(path: Path, head: bytes) -> UnknownModelFormat | None:
    start = head[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start[:1] == b"{" or (start[:1] == b"[" and start[1:].lstrip()[:1] in (b'"', b"{", b"[")):
        return _unknown(path, *_json_kind(start))
    for beginnings, what, todo in _TEXTS:
        if start.startswith(beginnings):
            return _unknown(path, what, todo)
    return None


def _json_kind(start: bytes) -> tuple[str, str | None]:
    if b"layers-model" in start or b"graph-model" in start or b"weightsmanifest" in start:
        return (
            "a TensorFlow.js model",
            "export it for Keras or TFLite; Teachable Machine offers both beside TensorFlow.js",
        )
    if b'"weight_map"' in start:
        return (
            "the index of weights in pieces",
            "load them in their framework and save the model whole, without sharding",
        )
    if b'"class_name"' in start or b"keras_version" in start:
        return "a Keras architecture without weights", "save it whole: model.save('model.keras')"
    return "a JSON file", None


def _by_name(path: Path) -> UnknownModelFormat | None:
    """Last resort, where the content says nothing: weights whose graph lies elsewhere."""
    beside = path.with_suffix(".xml")
    if path.suffix == ".bin" and beside.is_file():
        return _unknown(path, "the weights of OpenVINO IR", f"give the graph: {beside.name}")
    if ".data-0000" in path.name or path.suffix in (".index", ".meta", ".ckpt"):
        return _unknown(
            path,
            "a part of a TensorFlow checkpoint, which has weights but no usable graph",
            "load it in TensorFlow and export a SavedModel",
        )
    kinds = {
        ".mlmodel": "a CoreML model",
        ".caffemodel": "a Caffe model",
        ".weights": "weights of a Darknet network",
        ".params": "weights of an MXNet network",
        ".pdmodel": "a PaddlePaddle model",
        ".engine": "a TensorRT engine, bound to one machine",
        ".bin": "a file of weights without a graph",
    }
    what = kinds.get(path.suffix.lower())
    return None if what is None else _unknown(path, what, "export the model to ONNX instead")


def _unknown(path: Path, what: str | None, todo: str | None) -> UnknownModelFormat:
    looks = f"looks like {what}" if what else "is of no kind that is known"
    return UnknownModelFormat(f"{path.name} {looks}; {_EXPECTED}", hint=todo)
