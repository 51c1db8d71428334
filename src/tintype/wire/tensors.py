"""TensorFlow's TensorProto: read from its wire format into numpy arrays, and written.

Reading never makes anything larger than asked for; writing copies no numbers.

Field numbers and the rule for short value lists (the last value fills the rest):
tensorflow/core/framework/{tensor,tensor_shape,types}.proto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.types import Shape
from tintype.wire.protobuf import (
    ProtobufError,
    encode,
    fields,
    first,
    framed,
    signed,
    varints,
    view,
)

DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
}
"""``DataType`` of types.proto; 100 is added for references (TensorFlow 1's variables)."""


_NUMBERS = {name: number for number, name in DTYPES.items()}
_CONTENT, _STRINGS = 4, 8
_VALUES = {
    "float32": (5, "<f4"),
    "float64": (6, "<f8"),
    "int32": (7, None),
    "int16": (7, None),
    "int8": (7, None),
    "uint8": (7, None),
    "uint16": (7, None),
    "int64": (10, None),
    "bool": (11, None),
    "float16": (13, None),
    "bfloat16": (13, None),
    "uint32": (16, None),
    "uint64": (17, None),
}
"""Field of the typed values, and how they are packed where it is not as varints."""

ITEM_BYTES = {
    "float32": 4,
    "float64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "uint16": 2,
    "int64": 8,
    "bool": 1,
    "float16": 2,
    "bfloat16": 2,
    "uint32": 4,
    "uint64": 8,
    "complex64": 8,
    "complex128": 16,
}


def dtype_name(number: int) -> str:
    """Numpy's name of a DataType, reference or not; ``type 99`` where there is none."""
    return DTYPES.get(number % 100, f"type {number}")


def shape_of(message: memoryview) -> Shape | None:
    """A TensorShapeProto as a shape; None where its rank is unknown."""
    sides: list[int | None] = []
    for number, value in fields(message):
        if number == 3 and value:
            return None
        if number == 2:
            size = first(value, 1)
            length = signed(size) if isinstance(size, int) else 0
            sides.append(length if length >= 0 else None)
    if len(sides) > 254:  # TensorShape::MaxDimensions
        raise ProtobufError(f"a shape has {len(sides)} axes")
    return tuple(sides)


@dataclass(frozen=True, slots=True)
class TensorProto:
    """A tensor: dtype, shape, and its stored bytes or values, undecoded."""

    dtype: str
    shape: tuple[int, ...]
    content: memoryview
    message: memoryview

    @property
    def elements(self) -> int:
        """How many numbers the shape declares."""
        return math.prod(self.shape)

    @property
    def declared_bytes(self) -> int:
        """What the tensor takes in memory; 0 for strings and handles."""
        return self.elements * ITEM_BYTES.get(self.dtype, 0)


def read_tensor(message: memoryview, *, where: str) -> TensorProto:
    """Decode all but the values. Raises ProtobufError where content and shape differ."""
    dtype, content = "type 0", memoryview(b"")
    declared: Shape | None = ()
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            dtype = dtype_name(value)
        elif number == 2:
            declared = shape_of(view(value))
        elif number == _CONTENT:
            content = view(value)
    if declared is None or None in declared:
        raise ProtobufError(f"the tensor {where!r} has no definite shape")
    shape = tuple(side for side in declared if side is not None)
    tensor = TensorProto(dtype, shape, content, message)
    if len(content) and tensor.declared_bytes and len(content) != tensor.declared_bytes:
        raise ProtobufError(
            f"the tensor {where!r} declares {tensor.declared_bytes} bytes "
            f"(shape {list(shape)}, {dtype}) and holds {len(content)}"
        )
    return tensor


def stored_values(tensor: TensorProto) -> int:
    """At most how many numbers are written out: less than ``elements`` where the last repeats."""
    if len(tensor.content) or tensor.dtype not in _VALUES:
        return tensor.elements
    number, _ = _VALUES[tensor.dtype]
    return sum(
        len(value) if isinstance(value, memoryview) else 1
        for which, value in fields(tensor.message)
        if which == number
    )


def to_array(tensor: TensorProto, *, max_elements: int) -> npt.NDArray[np.generic] | None:
    """The values; None where there are more than ``max_elements`` or the dtype holds no numbers.

    bfloat16 comes as float32. What has content is a view into the file. Raises ProtobufError
    for more values than the shape has room for.
    """
    if tensor.dtype not in _VALUES or tensor.elements > max_elements:
        return None
    if len(tensor.content):
        stored = np.dtype(np.uint16 if tensor.dtype == "bfloat16" else tensor.dtype)
        flat: npt.NDArray[np.generic] = np.frombuffer(tensor.content, stored.newbyteorder("<"))
    else:
        flat = _listed(tensor)
    if tensor.dtype == "bfloat16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(tensor.shape)


def strings(message: memoryview, *, most: int = 100_000) -> tuple[bytes, ...]:
    """The values of a string tensor."""
    found = [bytes(view(value)) for number, value in fields(message) if number == _STRINGS]
    if len(found) > most:
        raise ProtobufError(f"a tensor holds {len(found)} strings, at most {most} are read")
    return tuple(found)


def tensor_parts(array: npt.NDArray[np.generic]) -> list[bytes | memoryview]:
    """A TensorProto as runs of bytes to be joined; the numbers are a view of ``array``.

    ``array`` is C-contiguous, of a numeric dtype, or of objects that are bytes (a string tensor).
    """
    is_text = array.dtype.kind == "O"
    name = "string" if is_text else array.dtype.name
    head = encode(1, _NUMBERS[name]) + encode(2, shape_bytes(array.shape))
    if is_text:
        return [head, *(encode(_STRINGS, text) for text in array.reshape(-1).tolist())]
    content = array.reshape(-1).view(np.uint8).data
    return [head, *framed(_CONTENT, [content])]


def shape_bytes(shape: Shape) -> bytes:
    """A TensorShapeProto; a free axis is -1."""
    sides = ((1 << 64) - 1 if side is None else side for side in shape)
    return b"".join(encode(2, encode(1, side)) for side in sides)


def _listed(tensor: TensorProto) -> npt.NDArray[np.generic]:
    number, packed = _VALUES[tensor.dtype]
    if packed is not None:
        return _packed(tensor, number, np.dtype(packed))
    found: list[int] = []
    for which, value in fields(tensor.message):
        if which == number:
            found += [value] if isinstance(value, int) else varints(value)
            _check_room(len(found), tensor)
    return _filled(found, tensor)


def _packed(
    tensor: TensorProto, number: int, dtype: np.dtype[np.generic]
) -> npt.NDArray[np.generic]:
    """Floats, which lie in a row of bytes or, seldom, in a field each."""
    runs = [
        value.to_bytes(dtype.itemsize, "little") if isinstance(value, int) else value
        for which, value in fields(tensor.message)
        if which == number
    ]
    if any(len(run) % dtype.itemsize for run in runs):
        raise ProtobufError(f"a list of {tensor.dtype} is cut short")
    found = np.frombuffer(runs[0] if len(runs) == 1 else b"".join(runs), dtype)
    _check_room(found.size, tensor)
    if found.size == tensor.elements:
        return found
    values = np.full(tensor.elements, found[-1] if found.size else 0, dtype)
    values[: found.size] = found
    return values


def _check_room(count: int, tensor: TensorProto) -> None:
    if count > tensor.elements:
        raise ProtobufError(
            f"a tensor of shape {list(tensor.shape)} holds more than {tensor.elements} values"
        )


def _filled(found: list[int], tensor: TensorProto) -> npt.NDArray[np.generic]:
    last = found[-1] if found else 0
    if tensor.dtype in {"float16", "bfloat16"}:
        bits = np.full(tensor.elements, last & 0xFFFF, np.uint16)
        bits[: len(found)] = [item & 0xFFFF for item in found]
        return bits if tensor.dtype == "bfloat16" else bits.view(np.float16)
    whole = found if tensor.dtype == "uint64" else [signed(item) for item in found]
    dtype = np.dtype(tensor.dtype)
    try:
        values = np.full(tensor.elements, whole[-1] if whole else 0, dtype)
        values[: len(whole)] = whole
    except OverflowError as error:
        raise ProtobufError(f"a tensor holds a number that is no {tensor.dtype}") from error
    return values
