"""Small model files made on the spot: TFLite by a FlatBuffers encoder of its own, ONNX, IR."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest


@dataclass(frozen=True)
class Number:
    """A scalar field of a table: ``code`` is one of i8, u8, i32, u32, u64, f32."""

    code: str
    value: float


def encode(root: dict[int, Any], identifier: bytes | None = None) -> bytes:
    """Write nested tables, ``{slot: value}``, as a FlatBuffer."""
    builder = flatbuffers.Builder(1024)
    at = _table(builder, root)
    builder.Finish(at, identifier)
    return bytes(builder.Output())


def _value(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, bytes):
        return builder.CreateByteVector(value)
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, dict):
        return _table(builder, value)
    places = [_value(builder, entry) for entry in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


def _table(builder: Any, fields: dict[int, Any]) -> int:
    places = {
        slot: _value(builder, value)
        for slot, value in fields.items()
        if not isinstance(value, Number)
    }
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in fields.items():
        if slot in places:
            builder.PrependUOffsetTRelativeSlot(slot, places[slot], 0)
        else:
            name = {"i8": "Int8", "u8": "Uint8", "i32": "Int32", "u32": "Uint32", "u64": "Uint64"}
            prepend = getattr(builder, f"Prepend{name[value.code]}Slot")
            prepend(slot, value.value, None)
    return builder.EndObject()


FLOAT32, INT32, UINT8, INT64, INT8, STRING = 0, 2, 3, 4, 9, 5


@dataclass
class TfliteMaker:
    """Collects tensors and operators; ``build`` writes the file's bytes."""

    tensors: list[dict[int, Any]] = field(default_factory=list)
    buffers: list[dict[int, Any]] = field(default_factory=lambda: [{}])
    codes: list[dict[int, Any]] = field(default_factory=list)
    operators: list[dict[int, Any]] = field(default_factory=list)
    metadata: list[dict[int, Any]] = field(default_factory=list)

    def tensor(
        self, name, shape, kind=FLOAT32, *, data=None, quantised=None, signature=None
    ) -> int:
        """Add a tensor and return its number; ``data`` are its stored numbers."""
        buffer = 0
        if data is not None:
            self.buffers.append({0: np.ascontiguousarray(data).tobytes()})
            buffer = len(self.buffers) - 1
        entry: dict[int, Any] = {
            0: np.array(shape, np.int32),
            1: Number("i8", kind),
            2: Number("u32", buffer),
            3: name,
        }
        if quantised is not None:
            scales, points = quantised
            entry[4] = {2: np.array(scales, np.float32), 3: np.array(points, np.int64)}
        if signature is not None:
            entry[7] = np.array(signature, np.int32)
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def operator(self, kind, inputs, outputs, *, options=None) -> None:
        """Add a builtin operator by number, or a custom one by name."""
        code: dict[int, Any]
        if isinstance(kind, str):
            code = {0: Number("i8", 32), 1: kind, 3: Number("i32", 32)}
        else:
            code = {0: Number("i8", min(kind, 127)), 3: Number("i32", kind)}
        self.codes.append(code)
        entry: dict[int, Any] = {
            0: Number("u32", len(self.codes) - 1),
            1: np.array(inputs, np.int32),
            2: np.array(outputs, np.int32),
        }
        if options is not None:
            entry |= {3: Number("u8", 1), 4: options}
        self.operators.append(entry)

    def about(self, name: str, content: bytes) -> None:
        """Add a metadata buffer."""
        self.buffers.append({0: content})
        self.metadata.append({0: name, 1: Number("u32", len(self.buffers) - 1)})

    def build(self, inputs, outputs, *, description="made by a test") -> bytes:
        """Write the file for these input and output tensors."""
        graph = {
            0: self.tensors,
            1: np.array(inputs, np.int32),
            2: np.array(outputs, np.int32),
            3: self.operators,
        }
        model = {
            0: Number("u32", 3),
            1: self.codes,
            2: [graph],
            3: description,
            4: self.buffers,
            6: self.metadata,
        }
        return encode(model, b"TFL3")


@pytest.fixture
def encode_flatbuffer() -> Callable[..., bytes]:
    """The FlatBuffers encoder: ``{slot: value}`` -> bytes."""
    return encode


@pytest.fixture
def scalar() -> type[Number]:
    """How a scalar field is written for the encoder."""
    return Number


@pytest.fixture
def tflite() -> TfliteMaker:
    """An empty TFLite maker."""
    return TfliteMaker()


@pytest.fixture
def small_tflite() -> bytes:
    """A sound classifier: 8x8x3 float pictures, one convolution, mean, softmax over 4 classes."""
    maker = TfliteMaker()
    rng = np.random.default_rng(7)
    picture = maker.tensor("pixels", [1, 8, 8, 3], signature=[-1, 8, 8, 3])
    kernel = maker.tensor(
        "kernel", [4, 3, 3, 3], data=rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    )
    bias = maker.tensor("bias", [4], data=np.arange(4, dtype=np.float32))
    axes = maker.tensor("axes", [2], INT32, data=np.array([1, 2], np.int32))
    made = maker.tensor("conv/Relu6", [1, 8, 8, 4], signature=[-1, 8, 8, 4])
    mean = maker.tensor("mean", [1, 4], signature=[-1, 4])
    scores = maker.tensor("scores", [1, 4], signature=[-1, 4])
    conv = {1: Number("i32", 1), 2: Number("i32", 1), 3: Number("i8", 3)}
    maker.operator(3, [picture, kernel, bias], [made], options=conv)
    maker.operator(40, [made, axes], [mean])
    maker.operator(25, [mean], [scores])
    return maker.build([picture], [scores])


def appended_zip(files: dict[str, bytes]) -> bytes:
    """A zip archive to append to a model file."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


@pytest.fixture
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    """Archive bytes of ``{name: content}``."""
    return appended_zip


@dataclass
class OnnxMaker:
    """Collects the parts of an ONNX graph; ``build`` writes the file's bytes."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)

    def node(self, kind, inputs, outputs, **attributes) -> None:
        """Add an operation."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, outputs, name=f"{kind}_op", **attributes))

    def constant(self, name, values) -> str:
        """Add an initializer and return its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def model(self, inputs, outputs):
        """Make the ModelProto; inputs and outputs are (name, shape) or (name, shape, type)."""
        from onnx import TensorProto, helper

        def value(name, shape, kind="FLOAT"):
            return helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape)

        graph = helper.make_graph(
            self.nodes,
            "graph",
            [value(*entry) for entry in inputs],
            [value(*entry) for entry in outputs],
            self.constants,
        )
        made = helper.make_model(
            graph, producer_name="a test", opset_imports=[helper.make_opsetid("", 17)]
        )
        made.ir_version = 10
        helper.set_model_props(made, self.properties)
        return made

    def build(self, inputs, outputs) -> bytes:
        """Write the file's bytes."""
        return self.model(inputs, outputs).SerializeToString()


@pytest.fixture
def onnx_graph() -> OnnxMaker:
    """An empty ONNX maker."""
    pytest.importorskip("onnx")
    return OnnxMaker()


@pytest.fixture
def small_onnx() -> bytes:
    """A sound classifier in NCHW: scaling, convolution, batch norm, mean, softmax over 4."""
    pytest.importorskip("onnx")
    return nchw_onnx(OnnxMaker())


def nchw_onnx(maker: OnnxMaker, *, transposed: bool = False, batch: object = "N") -> bytes:
    """A classifier of 8x8 colour pictures; ``transposed``: fed as NHWC."""
    rng = np.random.default_rng(7)
    first = "pixels"
    if transposed:
        maker.node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2])
        first = "turned"
    maker.constant("scale", np.float32(1 / 255))
    maker.constant("mean", np.array([0.5, 0.4, 0.3], np.float32).reshape(1, 3, 1, 1))
    maker.node("Mul", [first, "scale"], ["scaled"])
    maker.node("Sub", ["scaled", "mean"], ["centred"])
    maker.constant("W", rng.normal(size=(4, 3, 3, 3)).astype(np.float32))
    maker.constant("b", np.arange(4, dtype=np.float32))
    maker.node("Conv", ["centred", "W", "b"], ["made"], pads=[1, 1, 1, 1])
    maker.node("Relu", ["made"], ["rectified"])
    for name, value in (("gamma", 1.0), ("beta", 0.0), ("bn_mean", 0.25), ("bn_var", 2.0)):
        maker.constant(name, np.full(4, value, np.float32))
    maker.node(
        "BatchNormalization",
        ["rectified", "gamma", "beta", "bn_mean", "bn_var"],
        ["normal"],
        epsilon=0.001,
    )
    maker.node("GlobalAveragePool", ["normal"], ["pooled"])
    maker.node("Flatten", ["pooled"], ["flat"])
    maker.node("Softmax", ["flat"], ["scores"])
    shape = [batch, 8, 8, 3] if transposed else [batch, 3, 8, 8]
    return maker.build([("pixels", shape)], [("scores", [batch, 4])])


@pytest.fixture
def make_nchw_onnx() -> Callable[..., bytes]:
    """``nchw_onnx`` for tests that vary it."""
    pytest.importorskip("onnx")
    return nchw_onnx


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Write bytes into a file of the test's own folder."""

    def into(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return into
