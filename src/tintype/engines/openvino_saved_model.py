"""A SavedModel folder that declares exactly the tensors to feed and to read.

OpenVINO's TensorFlow front end keeps the signature ``serving_default`` and drops all else, also
tensors that other signatures name. So where other tensors are wanted, it is given a folder with
the same graph and the same variables and one signature of our own. Field numbers are those of
tensorflow/core/protobuf/saved_model.proto and meta_graph.proto.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tintype.errors import ModelFileDamaged
from tintype.types import Graph
from tintype.wire.protobuf import ProtobufError, Value, encode, fields, spans

_META_GRAPHS = 2  # SavedModel
_META_INFO, _SIGNATURES = 1, 5  # MetaGraphDef
_TAGS = 4  # MetaInfoDef
_INPUTS, _OUTPUTS, _METHOD = 1, 2, 3  # SignatureDef
_NAME = 1  # TensorInfo
_KEY, _VALUE = 1, 2  # entries of every map
_DEFAULT = b"serving_default"


@contextlib.contextmanager
def saved_model_for(graph: Graph, folder: Path) -> Iterator[Path]:
    """``folder`` itself where its default signature is the one wanted, else a changed copy.

    The copy links to the variables and is gone afterwards. Raises ModelFileDamaged.
    """
    try:
        content = _mapped(folder / "saved_model.pb")
        changed = None if _wants_default(content, graph) else _with_signature(content, graph)
    except (ProtobufError, OSError, ValueError) as error:
        raise ModelFileDamaged(f"saved_model.pb cannot be read: {error}") from error
    if changed is None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tintype-") as temporary:
        copy = Path(temporary)
        (copy / "saved_model.pb").write_bytes(changed)
        if (folder / "variables").is_dir():
            _link_files(folder / "variables", copy / "variables")
        yield copy


def _mapped(path: Path) -> memoryview:
    """The file's content; the map closes itself when the last view into it is gone."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _wants_default(content: memoryview, graph: Graph) -> bool:
    metas = [value for number, value in fields(content) if number == _META_GRAPHS]
    if len(metas) != 1:
        return False
    for number, value in fields(_message(metas[0])):
        if number == _SIGNATURES:
            entry = dict(fields(_message(value)))
            if bytes(_message(entry.get(_KEY))) == _DEFAULT:
                signature = _message(entry.get(_VALUE))
                inputs = {_bare(graph.input.name), *(_bare(held.name) for held in graph.held)}
                outputs = {_bare(output.name) for output in graph.outputs}
                return _names(signature, _INPUTS) == inputs and outputs <= _names(
                    signature, _OUTPUTS
                )
    return False


def _names(signature: memoryview, which: int) -> set[str]:
    """The tensors named by the inputs or the outputs of a signature."""
    names = set()
    for number, value in fields(signature):
        if number == which:
            info = _message(dict(fields(_message(value))).get(_VALUE))
            names.add(_bare(str(_message(dict(fields(info)).get(_NAME)), "utf-8")))
    return names


def _with_signature(content: memoryview, graph: Graph) -> bytes:
    """The SavedModel with one graph (that tagged ``serve``, or the first) and one signature."""
    out = [bytes(span) for number, span, _ in spans(content) if number != _META_GRAPHS]
    metas = [_message(value) for number, value in fields(content) if number == _META_GRAPHS]
    if not metas:
        raise ProtobufError("it holds no graph")
    meta = next((meta for meta in metas if b"serve" in _tags(meta)), metas[0])
    kept = [bytes(span) for number, span, _ in spans(meta) if number != _SIGNATURES]
    entry = encode(_KEY, _DEFAULT) + encode(_VALUE, _signature(graph))
    kept.append(encode(_SIGNATURES, entry))
    out.append(encode(_META_GRAPHS, b"".join(kept)))
    return b"".join(out)


def _tags(meta: memoryview) -> set[bytes]:
    info = _message(dict(fields(meta)).get(_META_INFO))
    return {bytes(_message(value)) for number, value in fields(info) if number == _TAGS}


def _signature(graph: Graph) -> bytes:
    inputs = (graph.input.name, *(held.name for held in graph.held))
    return (
        _tensors(_INPUTS, inputs)
        + _tensors(_OUTPUTS, (output.name for output in graph.outputs))
        + encode(_METHOD, b"tensorflow/serving/predict")
    )


def _tensors(which: int, names: Iterable[str]) -> bytes:
    out = b""
    for index, name in enumerate(names):
        info = encode(_NAME, f"{_bare(name)}".encode())
        out += encode(which, encode(_KEY, f"tensor_{index}".encode()) + encode(_VALUE, info))
    return out


def _bare(name: str) -> str:
    """A tensor's name with its port."""
    return name if ":" in name else f"{name}:0"


def _message(value: Value | None) -> memoryview:
    if isinstance(value, memoryview):
        return value
    if value is None:
        return memoryview(b"")
    raise ProtobufError("a number stands where a message belongs")


def _link_files(source: Path, target: Path) -> None:
    """Make ``target`` show the files of ``source``: by links where the system has them."""
    target.mkdir()
    for file in source.iterdir():
        if not file.is_file():
            continue
        for how in (os.symlink, os.link, shutil.copyfile):
            with contextlib.suppress(OSError, NotImplementedError):
                how(file.resolve(), target / file.name)
                break
