"""An ONNX file opened and checked: sizes, outside files, operations that are programs.

Field names follow onnx.proto. ``onnx`` is imported late: it takes a while, and only ONNX files
need it. Its own checker is not used, for it reads files the model names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.errors import (
    ModelFileDamaged,
    ModelFileError,
    ModelFileTooLarge,
    UnsafeModel,
)
from tintype.modelfiles.safety import DeclaredBytes, beside, check_size, damaged

_PROTOBUF_LIMIT = (1 << 31) - 1
_MOST_GRAPHS = 10_000
# Engines read a nested graph again for each level above it: 20 levels took OpenVINO a minute.
_MOST_NESTED = 8
_MOST_CALLS = 64
_MOST_NODES = 500_000
_MOST_NUMBERS = 1 << 22

# TensorProto.DataType: the numpy name (None: we never compute with it) and bytes of one number.
TYPES: dict[int, tuple[str | None, float]] = {
    1: ("float32", 4),
    2: ("uint8", 1),
    3: ("int8", 1),
    4: ("uint16", 2),
    5: ("int16", 2),
    6: ("int32", 4),
    7: ("int64", 8),
    8: ("string", 0),
    9: ("bool", 1),
    10: ("float16", 2),
    11: ("float64", 8),
    12: ("uint32", 4),
    13: ("uint64", 8),
    14: (None, 8),
    15: (None, 16),
    16: ("bfloat16", 2),
    **dict.fromkeys((17, 18, 19, 20, 24), (None, 1)),
    **dict.fromkeys((21, 22, 23), (None, 0.5)),
    **dict.fromkeys((25, 26), (None, 0.25)),
}
_TYPED_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
# Operations that call Python of the process they run in (onnxruntime training and extensions).
_PROGRAMS = frozenset({"PythonOp", "PythonOpGrad", "PyOp", "PyCustomOp", "PyFunc"})


def load_model(path: Path, *, max_bytes: int) -> Any:
    """Parse an ONNX file into its ModelProto and check it; outside weights stay outside.

    Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel (it reads files elsewhere, or runs
    Python).
    """
    check_size(path, min(max_bytes, _PROTOBUF_LIMIT))
    import onnx  # noqa: PLC0415  # slow to import, and only ONNX files need it
    from google.protobuf.message import DecodeError  # noqa: PLC0415  # comes with onnx

    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise damaged(path, "it ends too early or is no ONNX protobuf") from error
    if not model.HasField("graph") or not model.graph.output:
        raise damaged(path, "it holds no graph with outputs")
    _check(path, model, max_bytes)
    return model


def shape_of(dims: Any) -> tuple[int | None, ...]:
    """Read a TensorShapeProto; names, and the 0 or -1 some exporters write, are free axes."""
    return tuple(
        int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in dims
    )


def numbers_of(tensor: Any) -> npt.NDArray[np.generic] | None:
    """Return the numbers of a TensorProto that was checked; None for strings, outside or large."""
    kind, _ = TYPES.get(tensor.data_type, (None, 0))
    shape = tuple(tensor.dims)
    count = math.prod(shape)
    if kind in (None, "string", "bfloat16") or count > _MOST_NUMBERS or is_external(tensor):
        return None
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, np.dtype(kind).newbyteorder("<")).reshape(shape)
    for field in _TYPED_FIELDS:
        values = getattr(tensor, field)
        if len(values) == count and count:
            numbers = np.array(values)
            if kind == "float16":  # stored as its bits, onnx.proto on int32_data
                return numbers.astype(np.uint16).view(np.float16).reshape(shape)
            return numbers.astype(kind).reshape(shape)
    return np.zeros(shape, np.dtype(kind)) if count == 0 else None


def is_external(tensor: Any) -> bool:
    """Tell a tensor whose numbers lie in another file (TensorProto.DataLocation EXTERNAL)."""
    return bool(tensor.data_location == 1)


def constants_of(graph: Any) -> dict[str, Any]:
    """The TensorProto of every constant of the main graph: initializers and Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.HasField("t"):
                    found[node.output[0]] = attribute.t
    return found


def outside_files(model: Any) -> tuple[str, ...]:
    """Names of the files beside the model that hold weights."""
    names = {_location(tensor) for graph in _graphs(model) for tensor in _tensors(graph)}
    return tuple(sorted(names - {""}))


def _check(path: Path, model: Any, max_bytes: int) -> None:
    _check_texts(path, model)
    _check_calls(path, model)
    budget = DeclaredBytes(max_bytes)
    nodes = 0
    sizes: dict[Path, int] = {}
    for graph in _graphs(model):
        nodes += len(graph.node)
        if nodes > _MOST_NODES:
            raise ModelFileTooLarge(
                f"the graph has more than {_MOST_NODES:,} operations", limit=_MOST_NODES
            )
        for tensor in _tensors(graph):
            _check_tensor(path, tensor, budget, sizes)
        _check_nodes(graph, max_bytes)


def _check_texts(path: Path, model: Any) -> None:
    """Refuse names that are not UTF-8: protobuf hands those over as bytes and says nothing."""
    entries = (*model.metadata_props, *(p for tensor in _outside(model) for p in tensor))
    texts = [model.producer_name, model.producer_version, model.graph.name]
    texts += [text for entry in entries for text in (entry.key, entry.value)]
    texts += [opset.domain for opset in model.opset_import]
    for graph in _graphs(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            texts.append(value if isinstance(value, str | bytes) else value.name)
        for node in graph.node:
            texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
            texts += [attribute.name for attribute in node.attribute]
        texts += [tensor.name for tensor in _tensors(graph)]
    if not all(isinstance(text, str) for text in texts):
        raise damaged(path, "it holds a name that is no text")


def _check_calls(path: Path, model: Any) -> None:
    """Refuse functions that call themselves, or that grow beyond all bounds when inlined.

    Engines inline functions before they run a graph: thirty of them, each calling the next twice,
    are a thousand million operations.
    """
    bodies = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(graph: Any, above: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for inner in _nested(graph):
            for node in inner.node:
                key = (node.domain, node.op_type)
                if key in above:
                    raise damaged(path, f"its function {node.op_type[:80]!r} calls itself")
                if len(above) > _MOST_CALLS:
                    raise damaged(path, f"its functions call each other {_MOST_CALLS} deep")
                if key in bodies and key not in sizes:
                    sizes[key] = size(bodies[key], (*above, key))
                total += sizes.get(key, 1)
                if total > _MOST_NODES:
                    raise ModelFileTooLarge(
                        f"its functions come to more than {_MOST_NODES:,} operations",
                        limit=_MOST_NODES,
                    )
        return total

    size(model.graph, ())


def _outside(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        for tensor in _tensors(graph):
            yield tensor.external_data


def _graphs(model: Any) -> Iterator[Any]:
    """The main graph, every graph nested in its operations, and the model's own functions."""
    return _nested(model.graph, *model.functions)


def _nested(*graphs: Any) -> Iterator[Any]:
    """``graphs`` and every graph nested in their operations. Raises ModelFileTooLarge."""
    waiting = [(graph, 0) for graph in graphs]
    seen = 0
    while waiting:
        graph, depth = waiting.pop()
        seen += 1
        if depth > _MOST_NESTED:
            raise ModelFileTooLarge(
                f"its operations nest graphs deeper than {_MOST_NESTED} levels", limit=_MOST_NESTED
            )
        if seen > _MOST_GRAPHS:
            raise ModelFileTooLarge(
                f"the file nests more than {_MOST_GRAPHS:,} graphs", limit=_MOST_GRAPHS
            )
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    waiting.append((attribute.g, depth + 1))
                waiting.extend((inner, depth + 1) for inner in attribute.graphs)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from getattr(graph, "initializer", ())
    for sparse in getattr(graph, "sparse_initializer", ()):
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(path: Path, tensor: Any, budget: DeclaredBytes, sizes: dict[Path, int]) -> None:
    shape, name = tuple(tensor.dims), tensor.name[:200]
    if any(axis < 0 for axis in shape) or len(shape) > 64:
        raise damaged(path, f"tensor {name!r} has shape {list(shape[:8])}")
    kind, item_bytes = TYPES.get(tensor.data_type, (None, 0))
    size = budget.add(shape, item_bytes, what=f"tensor {name!r}")
    if is_external(tensor):
        _check_outside(path, tensor, size, sizes)
    elif tensor.HasField("raw_data"):
        if kind == "string" or len(tensor.raw_data) != size:
            raise damaged(
                path,
                f"tensor {name!r} of shape {list(shape[:8])} needs {size:,} bytes, "
                f"{len(tensor.raw_data):,} are stored",
            )
    elif item_bytes >= 1 and kind is not None:
        stored = sum(len(getattr(tensor, field)) for field in _TYPED_FIELDS)
        if stored != math.prod(shape):
            raise damaged(
                path,
                f"tensor {name!r} of shape {list(shape[:8])} needs {math.prod(shape):,} numbers, "
                f"{stored:,} are stored",
            )


def _location(tensor: Any) -> str:
    if not is_external(tensor):
        return ""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _check_outside(path: Path, tensor: Any, size: int, sizes: dict[Path, int]) -> None:
    told = {entry.key: entry.value for entry in tensor.external_data}
    file = beside(path.parent, told.get("location", ""), what=f"{path.name}")
    try:
        offset, length = int(told.get("offset", "0")), int(told.get("length", str(size)))
    except ValueError:
        raise damaged(path, f"tensor {tensor.name[:200]!r} lies at no sensible offset") from None
    if file not in sizes:
        try:
            sizes[file] = file.stat().st_size
        except OSError as error:
            raise ModelFileError(
                f"{path.name} keeps its weights in {file.name}, which is not beside it",
                hint="copy both files into one folder",
            ) from error
    if offset < 0 or length != size or offset + length > sizes[file]:
        raise ModelFileDamaged(
            f"{file.name} is cut short or belongs to another model: tensor "
            f"{tensor.name[:200]!r} needs {size:,} bytes from byte {offset:,}, it has "
            f"{sizes[file]:,}",
            hint="copy or download both files again",
        )


def _called(node: Any) -> str:
    """The operation's name, or that of what it makes: names may be left out."""
    return str(node.name or next(iter(node.output), ""))[:200]


def _check_nodes(graph: Any, max_bytes: int) -> None:
    """Refuse operations that are programs, and constants blown up to more than the limit.

    ConstantOfShape, Expand and Tile make a tensor as large as a few stored numbers say, and
    engines compute such constants while they load.
    """
    constants = constants_of(graph) if hasattr(graph, "initializer") else {}
    for node in graph.node:
        if node.op_type in _PROGRAMS:
            raise UnsafeModel(
                f"operation {_called(node)!r} ({node.op_type}) runs Python code, which is never run"
            )
        at = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}.get(node.op_type)
        tensor = constants.get(node.input[at]) if at is not None and len(node.input) > at else None
        numbers = None if tensor is None else numbers_of(tensor)
        if numbers is None or numbers.ndim != 1 or numbers.size > 64:
            continue
        declared = math.prod(max(1, int(value)) for value in numbers.tolist())
        if declared > max_bytes:
            raise ModelFileTooLarge(
                f"operation {_called(node)!r} ({node.op_type}) makes a tensor of {declared:,} "
                f"numbers, above the limit of {max_bytes:,} bytes",
                limit=max_bytes,
                actual=declared,
            )
