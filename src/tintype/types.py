"""Values that travel between the parts of Tintype. They know no HTTP, no library and no file.

Shapes are written outermost axis first; ``None`` is an axis that is free. Dtypes are numpy's
names, plus ``"string"`` for an input that takes the encoded picture itself.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import Struct

if TYPE_CHECKING:  # the client library tells these values too, and starts without numpy
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

Shape: TypeAlias = tuple[int | None, ...]
"""Axis lengths, outermost first; ``None`` where the model takes any length."""

UInt8Array: TypeAlias = "npt.NDArray[np.uint8]"
"""Pixels, height x width x channels, 0..255."""

Float32Array: TypeAlias = "npt.NDArray[np.float32]"
"""Weights, statistics and raw outputs."""

Tensor: TypeAlias = "npt.NDArray[np.generic]"
"""What goes into a model; the model decides the dtype."""

Batch: TypeAlias = "Tensor | Callable[[], Tensor]"
"""Rows to run, or a function that makes them in the thread that runs them."""

Begun: TypeAlias = "Callable[[], None]"
"""Told that a run begins: what to run is made, and there is room."""


class Format(enum.StrEnum):
    """What a model file is, told by its content; ``TF_SERVING`` is a model on another server."""

    KERAS_HDF5 = "keras-hdf5"
    KERAS_ZIP = "keras-zip"
    TF_FROZEN_GRAPH = "tf-frozen-graph"
    TF_SAVED_MODEL = "tf-saved-model"
    TFLITE = "tflite"
    ONNX = "onnx"
    OPENVINO_IR = "openvino-ir"
    TF_SERVING = "tf-serving"


class Layout(enum.StrEnum):
    """The order of a picture input's axes. ``NHW`` has no channel axis, ``FLAT`` is N x (H*W*C)."""

    NHWC = "NHWC"
    NCHW = "NCHW"
    NHW = "NHW"
    FLAT = "FLAT"


class Task(enum.StrEnum):
    """What the answer is made of: labels for the picture, or boxes with labels."""

    CLASSIFY = "classify"
    DETECT = "detect"


class Activation(enum.StrEnum):
    """What the last operation made of a classifier's numbers.

    ``PROBABILITIES``: no closing operation was found, yet the numbers are known to be
    probabilities (a quantised output in 0..1, say). ``LOGITS``: any real numbers.
    """

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOGITS = "logits"
    LOG_SOFTMAX = "log-softmax"
    PROBABILITIES = "probabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """``real = (stored - zero_point) * scale`` (TFLite's quantisation specification)."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output: its name in the file, its shape (batch axis included) and dtype.

    An input with ``quantisation`` takes stored integers. Outputs are handed on as real float32
    numbers: the engine applies an output's ``quantisation``.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    quantisation: Quantisation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """The input that takes pictures. ``height`` and ``width`` are ``None`` where any size goes.

    ``batch`` is the batch size the file insists on, ``None`` where any goes.
    ``channels`` is 1 (grey), 3 or 4.
    """

    tensor: TensorSpec
    layout: Layout
    height: int | None
    width: int | None
    channels: int
    batch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOutput:
    """An output of one row of ``classes`` numbers a picture."""

    tensor: TensorSpec
    classes: int
    activation: Activation
    reason: str = ""
    """Why this activation was taken, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOutput:
    """The outputs of a detector.

    Boxes are ymin, xmin, ymax, xmax as fractions of the picture; then class numbers, scores 0..1,
    and how many rows count. ``first_class`` is the class number that belongs to the first label: 0
    for ``TFLite_Detection_PostProcess``, 1 for the TF Object Detection API's label maps.
    """

    boxes: TensorSpec
    classes: TensorSpec
    scores: TensorSpec
    count: TensorSpec | None
    first_class: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedOutput:
    """The outputs of a classifier that names its classes itself, a score each, in any order.

    ``classes``: texts, or numbers of labels; ``scores`` 0..1; as many of the one as of the other.
    """

    classes: TensorSpec
    scores: TensorSpec


Output: TypeAlias = ClassOutput | DetectionOutput | RankedOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """A model that another server runs.

    ``address`` is ``grpc://HOST:PORT``, ``grpcs://``, ``http://`` or ``https://``. Of ``version``
    and ``label`` one at most; neither means the newest. ``signature``: which of the model's ways
    to be asked. ``timeout_seconds``: the longest a call may take; ``calls``: how many at once.
    ``ca``: a file with the authorities that may vouch for the server, instead of the usual ones.
    """

    address: str
    name: str
    version: int | None = None
    label: str | None = None
    signature: str = ""
    timeout_seconds: float = 10.0
    calls: int = 8
    ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInput:
    """A further input of a graph and the value it is held at (``keep_prob`` at 1.0, say)."""

    name: str
    value: float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What an engine is asked to run: where the graph is, what to feed, what to read.

    ``source`` is a file, a folder, or the bytes of an ONNX graph. ``input`` may name a tensor in
    the middle of the graph: the engine then feeds it there. ``outputs`` come back in this order.
    ``litert_only`` names operations that only LiteRT has. ``held`` are inputs that take no
    picture, with the values they keep. ``remote``: the graph lies on another server, and
    ``source`` is only the card that says so.
    """

    format: Format
    source: Path | bytes
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    litert_only: tuple[str, ...] = ()
    held: tuple[HeldInput, ...] = ()
    remote: RemoteModel | None = None


class Point(Struct, frozen=True, kw_only=True):
    """A place in the picture as shown upright, in pixels from its top left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The rectangle of the upright picture that fills the model's input, in pixels.

    It reaches beyond the picture where the input was padded.
    """

    left: float
    top: float
    width: float
    height: float


class LabelScore(Struct, frozen=True, kw_only=True):
    """One label of a classifier's answer. ``score`` is 0..1."""

    index: int
    label: str
    score: float


class Box(Struct, frozen=True, kw_only=True):
    """One found thing; corners in pixels of the upright picture. ``score`` is 0..1."""

    index: int
    label: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float


class ImageFacts(Struct, frozen=True, kw_only=True):
    """What a picture was. ``width`` and ``height`` are those of the upright picture.

    ``orientation`` is the EXIF tag, 1..8, 1 where there is none.
    """

    width: int
    height: int
    format: str
    sha256: str
    orientation: int = 1
    warnings: tuple[str, ...] = ()


class PictureLook(Struct, frozen=True, kw_only=True):
    """How a picture looks, each number 0..1: what drift of pictures is told from.

    ``brightness`` and ``contrast``: mean and standard deviation of the luma (ITU-R BT.601).
    ``colour``: mean of largest minus smallest channel, 0 for grey pictures. ``detail``: mean
    difference in luma between a pixel and its right neighbour, small for blurred pictures.
    """

    brightness: float
    contrast: float
    colour: float
    detail: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRange:
    """The range of one channel of a tensor, as the model gets it."""

    channel: str
    minimum: float
    maximum: float
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenInput:
    """What the model saw. ``png`` is a data URL of the tensor drawn as a picture."""

    png: str
    shape: tuple[int, ...]
    dtype: str
    sha256: str
    channels: tuple[ChannelRange, ...]
    recipe: dict[str, object]


class ResultError(Struct, frozen=True, kw_only=True):
    """Why one model gave no answer of its own. ``type`` is the error's stable name."""

    type: str
    detail: str


class Result(Struct, frozen=True, kw_only=True):
    """One model's answer for one point (or for the whole picture). ``seconds``: wait and run.

    ``fallback``: the model gave no answer (``error`` says why), and ``labels`` are those that its
    owner wants told in its place, with score 0.
    """

    model: str
    version: str
    task: Task
    point: Point | None = None
    labels: tuple[LabelScore, ...] | None = None
    boxes: tuple[Box, ...] | None = None
    error: ResultError | None = None
    fallback: bool = False
    seconds: float = 0.0
    input: SeenInput | None = None


class Seconds(Struct, frozen=True, kw_only=True):
    """Where a prediction's time went. Of several models side by side, the slowest counts."""

    decode: float = 0.0
    prepare: float = 0.0
    queue: float = 0.0
    run: float = 0.0
    total: float = 0.0


class Prediction(Struct, frozen=True, kw_only=True):
    """The answer to one picture: a result for every model and point asked for.

    ``look`` is for observers, and not part of the answer.
    """

    id: str
    image: ImageFacts
    results: tuple[Result, ...]
    seconds: Seconds = msgspec.field(default_factory=Seconds)
    look: PictureLook | None = None


Explain: TypeAlias = Literal["input"]
"""What a caller may ask to have explained."""


def tensors_of(output: Output) -> tuple[TensorSpec, ...]:
    """The tensors to read for ``output``, in the order of its fields."""
    if isinstance(output, ClassOutput):
        return (output.tensor,)
    if isinstance(output, RankedOutput):
        return (output.classes, output.scores)
    found = (output.boxes, output.classes, output.scores, output.count)
    return tuple(spec for spec in found if spec is not None)


def name_text(name: str) -> str:
    """A file's name as text that can be printed and sent.

    Names are bytes to the system. Bytes that are no UTF-8, as on an old disk, come to Python as
    lone surrogates, which no encoder takes; here they are written out in hexadecimal.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
