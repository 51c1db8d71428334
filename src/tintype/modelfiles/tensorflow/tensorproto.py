"""TensorProto, read from its wire format into numpy arrays, never larger than asked for.

Field numbers and the rule for short value lists (the last value fills the rest):
tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.tensorflow.graphdef import dtype_name, shape_of, view
from tintype.types import Shape
from tintype.wire.protobuf import fields, signed, varints

_CONTENT = 4
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


@dataclass(frozen=True, slots=True)
class TensorProto:
    """A constant: dtype, shape, and its stored bytes or values, undecoded."""

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
    """Decode all but the values. Raises ModelFileDamaged where content and shape differ."""
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
        raise ModelFileDamaged(f"the constant {where!r} has no definite shape")
    shape = tuple(side for side in declared if side is not None)
    tensor = TensorProto(dtype, shape, content, message)
    if len(content) and tensor.declared_bytes and len(content) != tensor.declared_bytes:
        raise ModelFileDamaged(
            f"the constant {where!r} declares {tensor.declared_bytes} bytes "
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

    bfloat16 comes as float32. What has content is a view into the file. Raises ModelFileDamaged
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
    found = [bytes(view(value)) for number, value in fields(message) if number == 8]
    if len(found) > most:
        raise ModelFileDamaged(f"a constant holds {len(found)} strings, at most {most} are read")
    return tuple(found)


def _listed(tensor: TensorProto) -> npt.NDArray[np.generic]:
    number, packed = _VALUES[tensor.dtype]
    found: list[float] = []
    for which, value in fields(tensor.message):
        if which != number:
            continue
        if packed is None:
            found += [value] if isinstance(value, int) else varints(value)
        elif isinstance(value, int):
            found += np.frombuffer(value.to_bytes(int(packed[2]), "little"), packed).tolist()
        elif len(value) % int(packed[2]) == 0:
            found += np.frombuffer(value, packed).tolist()
        if len(found) > tensor.elements:
            raise ModelFileDamaged(
                f"a constant of shape {list(tensor.shape)} holds more than {tensor.elements} values"
            )
    return _filled(found, tensor)


def _filled(found: list[float], tensor: TensorProto) -> npt.NDArray[np.generic]:
    last = found[-1] if found else 0
    if tensor.dtype in {"float16", "bfloat16"}:
        bits = np.full(tensor.elements, int(last) & 0xFFFF, np.uint16)
        bits[: len(found)] = [int(item) & 0xFFFF for item in found]
        return bits if tensor.dtype == "bfloat16" else bits.view(np.float16)
    whole = [signed(int(item)) for item in found] if _VALUES[tensor.dtype][1] is None else found
    if tensor.dtype == "uint64":
        whole = found
    dtype = np.dtype(tensor.dtype)
    try:
        values = np.full(tensor.elements, whole[-1] if whole else 0, dtype)
        values[: len(whole)] = whole
    except OverflowError as error:
        raise ModelFileDamaged(f"a constant holds a number that is no {tensor.dtype}") from error
    return values
