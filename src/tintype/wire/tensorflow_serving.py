"""TensorFlow Serving's messages, as bytes for gRPC: those that asking a model needs.

Field numbers: tensorflow_serving/apis/{model,predict,get_model_metadata,get_model_status}.proto,
tensorflow_serving/util/status.proto, tensorflow/core/protobuf/meta_graph.proto,
google/protobuf/{any,wrappers}.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tintype.types import Shape
from tintype.wire.protobuf import ProtobufError, encode, entry, fields, first, framed, text, view
from tintype.wire.tensors import TensorProto, dtype_name, read_tensor, shape_of, strings, to_array

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_SIGNATURES = "signature_def"
"""The key of the metadata that is asked for; no other exists."""
_LONGEST_TEXT = 1024
_STATES = {
    0: "UNKNOWN",
    10: "START",
    20: "LOADING",
    30: "AVAILABLE",
    40: "UNLOADING",
    50: "END",
}
"""``ModelVersionStatus.State``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which model is asked. Of ``version`` and ``label`` one at most; neither: the newest."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One input or output of a signature. ``shape`` is None where not even its rank is known."""

    dtype: str
    shape: Shape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSignature:
    """One way to ask a model: its ends by the names that callers use."""

    inputs: Mapping[str, End]
    outputs: Mapping[str, End]
    method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """One version of a model as the server has it; ``message`` says why it has it not."""

    version: int
    state: str
    message: str = ""

    @property
    def available(self) -> bool:
        """Whether it can be asked."""
        return self.state == "AVAILABLE"


def predict_request(
    spec: ModelSpec,
    *,
    signature: str,
    inputs: Mapping[str, list[bytes | memoryview]],
    outputs: Iterable[str],
) -> bytes:
    """A PredictRequest. ``inputs`` are the parts of a TensorProto each (``tensor_parts``)."""
    parts: list[bytes | memoryview] = [encode(1, _spec(spec, signature))]
    for name, tensor in inputs.items():
        parts += framed(2, [encode(1, name.encode()), *framed(2, tensor)])
    parts += [encode(3, name.encode()) for name in outputs]
    return b"".join(parts)


def read_predict_response(message: memoryview) -> dict[str, TensorProto]:
    """The outputs of a PredictResponse, undecoded. Raises ProtobufError."""
    found = {}
    for number, value in fields(message):
        if number == 1:
            name, tensor = entry(view(value))
            found[name] = read_tensor(view(tensor), where=name)
    return found


def metadata_request(spec: ModelSpec) -> bytes:
    """A GetModelMetadataRequest for the signatures."""
    return encode(1, _spec(spec)) + encode(2, _SIGNATURES.encode())


def read_metadata_response(message: memoryview) -> dict[str, ServedSignature]:
    """The signatures by name, out of a GetModelMetadataResponse. Raises ProtobufError."""
    for number, value in fields(message):
        if number == 2:
            name, packed = entry(view(value))
            if name == _SIGNATURES:
                return _signatures(view(first(view(packed), 2)))  # Any.value
    raise ProtobufError("it holds no signatures")


def status_request(spec: ModelSpec) -> bytes:
    """A GetModelStatusRequest."""
    return encode(1, _spec(spec))


def read_status_response(message: memoryview) -> tuple[VersionStatus, ...]:
    """Every version the server knows, out of a GetModelStatusResponse. Raises ProtobufError."""
    return tuple(_version(view(value)) for number, value in fields(message) if number == 1)


def _spec(spec: ModelSpec, signature: str = "") -> bytes:
    parts = [encode(1, spec.name.encode())]
    if spec.version is not None:
        parts.append(encode(2, encode(1, spec.version)))  # Int64Value
    if signature:
        parts.append(encode(3, signature.encode()))
    if spec.label is not None:
        parts.append(encode(4, spec.label.encode()))
    return b"".join(parts)


def _signatures(message: memoryview) -> dict[str, ServedSignature]:
    found = {}
    for number, value in fields(message):
        if number == 1:
            name, signature = entry(view(value))
            found[name] = _signature(view(signature))
    return found


def _signature(message: memoryview) -> ServedSignature:
    ends: dict[int, dict[str, End]] = {1: {}, 2: {}}
    method = ""
    for number, value in fields(message):
        if number in ends:
            name, info = entry(view(value))
            ends[number][name] = _end(view(info))
        elif number == 3:
            method = text(value)
    return ServedSignature(inputs=ends[1], outputs=ends[2], method=method)


def _end(info: memoryview) -> End:
    kind, shape = first(info, 2), first(info, 3)
    return End(
        dtype=dtype_name(kind if isinstance(kind, int) else 0),
        shape=() if shape is None else shape_of(view(shape)),
    )


def _version(message: memoryview) -> VersionStatus:
    version, state = first(message, 1), first(message, 2)
    number = state if isinstance(state, int) else 0
    return VersionStatus(
        version=version if isinstance(version, int) else 0,
        state=_STATES.get(number, f"state {number}"),
        message=text(first(view(first(message, 3)), 2)),
    )


def numbers_or_texts(tensor: TensorProto, *, max_elements: int) -> npt.NDArray[np.generic]:
    """A response's tensor: numbers (a view into the message where it can be), or texts as bytes.

    Raises ProtobufError for more than ``max_elements`` and for what is neither.
    """
    if tensor.elements > max_elements:
        raise ProtobufError(f"{tensor.elements} values, at most {max_elements} are read")
    if tensor.dtype == "string":
        texts = strings(tensor.message)
        if len(texts) != tensor.elements:
            raise ProtobufError(f"{len(texts)} texts in a tensor of {tensor.elements}")
        if max(map(len, texts), default=0) > _LONGEST_TEXT:
            raise ProtobufError(f"a text of more than {_LONGEST_TEXT} bytes, which is no label")
        return np.array(texts, dtype=np.bytes_).reshape(tensor.shape)
    array = to_array(tensor, max_elements=max_elements)
    if array is None:
        raise ProtobufError(f"a tensor of {tensor.dtype}, neither numbers nor texts")
    return array
