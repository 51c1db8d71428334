"""What kind of model file lies at a path, told by its content and never by its name.

A few bytes, the directory of an archive or the names in a folder are read; nothing is unpacked.
What is no model file is named as what it looks like (``strangers``), with what to do about it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from tintype.errors import ModelFileError, UnknownModelFormat
from tintype.modelfiles.protobuf_fields import Field, fields_in, fields_of
from tintype.modelfiles.safety import archive_names, refuse_pickle, unreadable
from tintype.modelfiles.strangers import refuse_archive, refuse_content, refuse_folder
from tintype.types import Format

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HEAD_BYTES = 64 << 10
_PRINTABLE = frozenset(range(32, 127))
# ModelProto: 1 ir_version, 5 model_version are varints; the rest are payloads (onnx.proto).
_ONNX_FIELDS = frozenset({(1, 0), (5, 0), *((number, 2) for number in (2, 3, 4, 6, 7, 8))}) | {
    (number, 2) for number in (14, 20, 25, 26)
}


def sniff(path: Path) -> Format:
    """Tell a model file's format by its content.

    Raises UnknownModelFormat saying what it looks like, UnsafeModel for pickles, ModelFileError
    when the path cannot be read.
    """
    try:
        if path.is_dir():
            return _sniff_folder(path)
        if not path.exists():
            raise ModelFileError(f"{path} does not exist", hint="check the path")
        if not path.is_file():
            raise UnknownModelFormat(f"{path} is no regular file, expected a model file or folder")
        return _sniff_file(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _sniff_folder(path: Path) -> Format:
    if (path / "saved_model.pb").is_file():
        return Format.TF_SAVED_MODEL
    if is_unpacked_keras(path):
        return Format.KERAS_ZIP
    raise refuse_folder(path)


def is_unpacked_keras(path: Path) -> bool:
    """Whether a folder holds what a .keras file holds: ``model.save(path, zipped=False)``."""
    return all((path / name).is_file() for name in ("config.json", "metadata.json"))


def is_architecture(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a Keras architecture in JSON.

    Also where the JSON text was written as a JSON text once more, as ``json.dump`` does.
    """
    start = head[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    begins = start.startswith((b"{", b'"{'))
    named = b'"class_name"' in start or b'\\"class_name\\"' in start
    return begins and named and b"config" in start and b"modelTopology" not in start


def _sniff_file(path: Path) -> Format:
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        found = _by_magic(head) or _by_hdf5(file, size)
        if found is None and not head.startswith(b"PK") and head:
            refuse_pickle(path, head)
            found = _by_protobuf(file, size)
    if found is None and head.startswith(b"PK\x03\x04"):
        return _sniff_archive(path)
    if found is None:
        raise refuse_content(path, head, size)
    return found


def _by_magic(head: bytes) -> Format | None:
    if is_architecture(head):
        return Format.KERAS_HDF5  # its weights lie in an HDF5 file beside it
    if head[4:8] == b"TFL3":  # the FlatBuffers file identifier in schema.fbs
        return Format.TFLITE
    start = head[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<") and b"<net" in start and b"<html" not in start.lower():
        return Format.OPENVINO_IR
    return None


def _by_hdf5(file: BinaryIO, size: int) -> Format | None:
    """Find the signature at byte 0, 512, 1024, 2048 ... (HDF5 file format, section II.A)."""
    place = 0
    while place + len(HDF5_MAGIC) <= size:
        file.seek(place)
        if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
            return Format.KERAS_HDF5
        place = 512 if place == 0 else place * 2
    return None


def _sniff_archive(path: Path) -> Format:
    names = archive_names(path)
    if {"config.json", "metadata.json"} <= set(names):
        return Format.KERAS_ZIP
    raise refuse_archive(path, names)


def _by_protobuf(file: BinaryIO, size: int) -> Format | None:
    """Tell the three protobuf files apart by their outermost fields.

    ONNX ModelProto: 1 ir_version, 7 graph, 8 opset_import. SavedModel: 1 schema version,
    2 MetaGraphDef, nothing else. GraphDef: 1 NodeDef, repeated, and 4 versions.
    """
    fields, sound = fields_of(file, size)
    if not fields:
        return None
    kinds = {(field.number, field.wire) for field in fields}
    first = fields[0]
    if {(1, 0), (7, 2)} <= kinds <= _ONNX_FIELDS:
        return Format.ONNX
    if (first.number, first.wire) == (1, 2):
        return Format.TF_FROZEN_GRAPH if _is_node(first) else None
    if (first.number, first.wire) == (1, 0) and sound and kinds <= {(1, 0), (2, 2)}:
        graphs = [field for field in fields if field.number == 2]
        return Format.TF_SAVED_MODEL if any(map(_is_meta_graph, graphs)) else None
    return None


def _is_node(field: Field) -> bool:
    """NodeDef: 1 name, then 2 op, both short texts (tensorflow node_def.proto)."""
    parts = list(fields_in(field.head))[:2]
    if len(parts) < 2 or [(part.number, part.wire) for part in parts] != [(1, 2), (2, 2)]:
        return False
    operation = parts[1].head[: parts[1].value]
    return parts[1].value < 200 and bool(operation) and set(operation) <= _PRINTABLE


def _is_meta_graph(field: Field) -> bool:
    """MetaGraphDef: 1 meta_info_def or 2 graph_def first (tensorflow meta_graph.proto)."""
    first = next(fields_in(field.head), None)
    return first is not None and (first.number, first.wire) in ((1, 2), (2, 2))
