"""An OpenVINO IR pair opened and checked: layers and links of the XML, sizes of the .bin.

Format: OpenVINO documentation, "OpenVINO IR format".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, ModelFileError, ModelFileTooLarge
from tintype.modelfiles.graphwalk import GraphView, Node
from tintype.modelfiles.safety import DeclaredBytes, damaged, read_small
from tintype.types import Shape

MAX_XML_BYTES = 64 << 20
_MOST_LAYERS = 200_000
_MOST_NUMBERS = 1 << 22
_TYPES: dict[str, tuple[str, float]] = {
    "f32": ("float32", 4), "f16": ("float16", 2), "bf16": ("bfloat16", 2), "f64": ("float64", 8),
    "i4": ("int4", 0.5), "u4": ("uint4", 0.5), "u1": ("bool", 0.125), "nf4": ("float4", 0.5),
    "i8": ("int8", 1), "u8": ("uint8", 1), "i16": ("int16", 2), "u16": ("uint16", 2),
    "i32": ("int32", 4), "u32": ("uint32", 4), "i64": ("int64", 8), "u64": ("uint64", 8),
    "boolean": ("bool", 1), "string": ("string", 0), "f8e4m3": ("float8", 1),
    "f8e5m2": ("float8", 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IrLayer:
    """One layer of the XML. ``names`` and ``shape`` are those of its first output."""

    id: str
    name: str
    kind: str
    data: dict[str, str]
    names: tuple[str, ...]
    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IrFile:
    """A parsed file; values are called ``layer:port``."""

    path: Path
    weights: Path
    layers: dict[str, IrLayer]
    sources: dict[str, str]
    view: GraphView
    info: dict[str, str]


def open_ir(path: Path, *, max_bytes: int) -> tuple[IrFile, str]:
    """Parse an .xml file, check it against its .bin, and return it with its writer in words.

    Raises ModelFileDamaged, ModelFileTooLarge, ModelFileError (no .bin).
    """
    root = parse_xml(path)
    if root.tag != "net":
        raise damaged(path, f"its first element is <{root.tag[:40]}>, expected <net>")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelFileError(
            f"{path.name} keeps its weights in {weights.name}, which is not beside it",
            hint="copy both files into one folder",
        )
    layers = {layer.id: layer for layer in (_layer(path, entry) for entry in root.iter("layer"))}
    _check_weights(path, weights, layers, max_bytes)
    sources = _sources(root)
    info = {
        entry.tag: entry.get("value", "")
        for group in root.findall("rt_info/model_info")
        for entry in group.iter()
    }
    converted = root.find("rt_info/Runtime_version")
    version = "" if converted is None else f", by OpenVINO {converted.get('value', '')[:60]}"
    file = IrFile(
        path=path,
        weights=weights,
        layers=layers,
        sources=sources,
        view=GraphView.of(_nodes(layers, sources)),
        info=info,
    )
    return file, f"OpenVINO IR version {root.get('version', '?')[:10]}{version}"


def parse_xml(path: Path) -> ET.Element:
    """Parse a UTF-8 document without DOCTYPE or entities, of at most 64 MiB.

    Raises ModelFileDamaged or ModelFileTooLarge.
    """
    data = read_small(path, MAX_XML_BYTES)
    if b"\0" in data or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise damaged(path, "it declares entities or is not UTF-8, which OpenVINO never writes")
    if data.count(b"<") > 10 * _MOST_LAYERS:
        raise ModelFileTooLarge(f"{path.name} has more elements than any network")
    try:
        return ET.fromstring(data)  # noqa: S314  # entities were refused above, the size too
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise damaged(path, f"its XML cannot be read ({error})") from error


def _layer(path: Path, entry: ET.Element) -> IrLayer:
    port = entry.find("output/port")
    data = entry.find("data")
    attributes = {} if data is None else dict(data.attrib)
    dims = [] if port is None else [dim.text or "" for dim in port.findall("dim")]
    told = attributes.get("element_type") if entry.get("type") == "Parameter" else None
    precision = (told or ("" if port is None else port.get("precision") or "")).lower()
    precision = {"fp32": "f32", "fp16": "f16", "fp64": "f64", "bool": "boolean"}.get(
        precision, precision
    )
    names = "" if port is None else port.get("names", "")
    return IrLayer(
        id=entry.get("id", ""),
        name=entry.get("name", ""),
        kind=entry.get("type", ""),
        data=attributes,
        # A comma inside a name is written as `\\,`; the first name is enough.
        names=tuple(part for part in names.replace("\\,", "\0").split(",") if part),
        shape=tuple(_axis(path, dim) for dim in dims),
        dtype=_TYPES.get(precision, ("unknown", 0))[0],
    )


def _axis(path: Path, text: str) -> int | None:
    """Read an axis: ``224``, free as ``-1`` or ``?``, a range as ``1..8``."""
    stripped = text.strip()
    if stripped in ("-1", "?", "") or ".." in stripped:
        return None
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) <= 18):
        raise damaged(path, f"an axis is {stripped[:40]!r}, expected a number")
    return int(stripped)


def _sources(root: ET.Element) -> dict[str, str]:
    """Where each input port gets its value: ``to-layer:to-port`` -> ``from-layer:from-port``."""
    return {
        f"{edge.get('to-layer')}:{edge.get('to-port')}": (
            f"{edge.get('from-layer')}:{edge.get('from-port')}"
        )
        for edge in root.findall("edges/edge")
    }


def _nodes(layers: dict[str, IrLayer], sources: dict[str, str]) -> list[Node]:
    taken: dict[str, list[tuple[int, str]]] = {}
    made: dict[str, set[str]] = {}
    for target, source in sources.items():
        key, _, port = target.partition(":")
        taken.setdefault(key, []).append((int(port) if port.isdigit() else 0, source))
        made.setdefault(source.partition(":")[0], set()).add(source)
    return [
        Node(
            kind=layer.kind,
            name=layer.name,
            inputs=tuple(source for _, source in sorted(taken.get(key, []))),
            outputs=tuple(sorted(made.get(key, ()))),
        )
        for key, layer in layers.items()
        if layer.kind not in ("Const", "Parameter")
    ]


def _check_weights(path: Path, weights: Path, layers: dict[str, IrLayer], max_bytes: int) -> None:
    stored = weights.stat().st_size
    budget = DeclaredBytes(max_bytes)
    if len(layers) > _MOST_LAYERS:
        raise ModelFileTooLarge(
            f"{path.name} has {len(layers):,} layers, expected at most {_MOST_LAYERS:,}",
            limit=_MOST_LAYERS,
        )
    for layer in layers.values():
        if layer.kind != "Const":
            continue
        offset, size = _whole(layer.data.get("offset")), _whole(layer.data.get("size"))
        shape = [_axis(path, part) for part in layer.data.get("shape", "").split(",") if part]
        _, item = _TYPES.get(layer.data.get("element_type", ""), ("", 0))
        declared = budget.add(shape, item, what=f"layer {layer.name[:200]!r}")
        if offset is None or size is None or (item and size != declared):
            raise damaged(path, f"layer {layer.name[:200]!r} does not have the size it declares")
        if offset + size > stored:
            raise ModelFileDamaged(
                f"{weights.name} is cut short or belongs to another model: layer "
                f"{layer.name[:200]!r} needs bytes up to {offset + size:,} of {stored:,}",
                hint="copy or download both files again",
            )


def _whole(text: str | None) -> int | None:
    good = text is not None and text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if good and text is not None else None


def const_layer(file: IrFile, value: str) -> IrLayer | None:
    """The constant behind a value, also behind what unpacks float16 weights or adds axes to them.

    Of a constant behind a Reshape the numbers are right and the shape is the stored one.
    """
    layer = file.layers.get(value.partition(":")[0])
    for _ in range(3):
        if layer is None or layer.kind not in ("Convert", "Reshape", "Unsqueeze"):
            break
        layer = file.layers.get(file.sources.get(f"{layer.id}:0", "").partition(":")[0])
    return layer if layer is not None and layer.kind == "Const" else None


def constant_of(file: IrFile, value: str) -> npt.NDArray[np.generic] | None:
    """Read a constant's numbers from the .bin; None for no constant, a large or an odd one."""
    layer = const_layer(file, value)
    if layer is None or None in layer.shape or math.prod(map(int, layer.shape)) > _MOST_NUMBERS:  # type: ignore[arg-type]  # None was ruled out just before
        return None
    offset, size = _whole(layer.data.get("offset")), _whole(layer.data.get("size"))
    name, item = _TYPES.get(layer.data.get("element_type", ""), ("", 0))
    storable = name in ("float32", "float16", "float64", "int8", "uint8", "int32", "int64")
    if not storable or offset is None or size is None:
        return None
    shape = tuple(axis for axis in layer.shape if axis is not None)
    with file.weights.open("rb") as opened:
        opened.seek(offset)
        data = opened.read(size)
    if len(data) != math.prod(shape) * item:
        return None
    return np.frombuffer(data, np.dtype(name).newbyteorder("<")).reshape(shape)
