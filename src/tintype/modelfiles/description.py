"""What reading a model file brings to light: the values that ``modelfiles`` hands on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tintype.types import Float32Array, Format, Graph, ImageInput, Output, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A remark on safety or fitness. ``severity``: ``note``, ``warning`` or ``refused``."""

    severity: str
    what: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One line of a model summary: name, kind, shape of the output, number of parameters.

    ``trainable``: how many of the parameters training changes, None where the file does not tell.
    """

    name: str
    kind: str
    shape: Shape | None
    parameters: int
    trainable: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InGraphAffine:
    """Arithmetic the graph itself does on pixels before its first convolution: x * scale + offset.

    ``scale`` and ``offset`` have one number a channel. ``where`` names layers or operations.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InGraphResize:
    """A resize inside the graph. ``kind`` such as ``tf1 bilinear`` or ``tf2 bilinear``.

    ``cut`` tells that the graph is fed behind it, so that the picture must be resized outside in
    exactly that way; else the graph does it and takes any size.
    """

    height: int
    width: int
    kind: str
    where: str
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLayers:
    """The linear start of a network, for what it remembers of its training pictures.

    ``kernel``: kh x kw x cin x cout, as it is applied (cross-correlation), in the channel order of
    the input. ``bias``: cout, or None. Behind it a batch normalisation with moving ``mean`` and
    ``variance`` (cout each), after a ReLU if ``rectified`` (clipped at ``ceiling`` if given).
    ``mean`` and ``variance`` are None where the normalisation was folded into the kernel; then
    ``bias`` is the folded one. ``in_graph``: what the graph does to pixels before the kernel.
    """

    kernel: Float32Array
    bias: Float32Array | None
    mean: Float32Array | None
    variance: Float32Array | None
    epsilon: float = 1e-3
    rectified: bool = False
    ceiling: float | None = None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """Normalisation told by the file's metadata: (x - mean) / std on 0..255, a number a channel.

    ``reversed_channels``: pictures go in as blue, green, red; mean and std are in that order.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    where: str
    reversed_channels: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a file tells about how pictures were prepared in training."""

    affine: InGraphAffine | None = None
    resize: InGraphResize | None = None
    normalisation: Normalisation | None = None
    first_layers: FirstLayers | None = None
    encoded_input: bool = False
    backbone: str | None = None
    """A known architecture seen by layer or operation names, such as ``mobilenetv2`` or
    ``resnet50`` (lower case, no separators)."""
    teachable_machine: bool = False
    source: str | None = None
    """The framework that trained it, where known: ``keras``, ``tf1``, ``tf2``, ``pytorch``."""
    recipe: str | None = None
    """A recipe that the file itself carries, as JSON: written by ``tintype convert``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a model file is and says.

    ``labels_in_file``: labels stored inside it (TFLite metadata, Keras ``class_names``).
    ``operations``: the name of every operation in the graph, as ``name (type)``.
    """

    path: Path
    format: Format
    writer: str | None
    image: ImageInput
    output: Output
    graph: Graph
    labels_in_file: tuple[str, ...] | None = None
    evidence: Evidence = field(default_factory=Evidence)
    findings: tuple[Finding, ...] = ()
    layers: tuple[Layer, ...] = ()
    operations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Choices made while reading, in words: which signature, which input and output, and why."""
    ran_code: str | None = None
    """What was run of the file's own code, in words; None where nothing was, as usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a person may override when a file is read. Names are those in the file."""

    input: str | None = None
    output: str | None = None
    signature: str | None = None
    allow_code: bool = False
    """Whether a Keras file with code may be converted by the framework itself, which runs it."""
    max_bytes: int = 8 << 30
    """Largest file, and largest sum of declared tensors, that is read at all."""
