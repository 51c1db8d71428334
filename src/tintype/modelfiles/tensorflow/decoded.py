"""Graphs that decode pictures themselves: where pixels come out, ready to be fed instead.

The graphs that TensorFlow's 2015 Inception and retraining scripts wrote begin ``DecodeJpeg``,
``Cast``, ``ExpandDims``, ``ResizeBilinear``, ``Sub``, ``Mul``; exports for servers do the same for
each string of a batch in a loop.
"""

from __future__ import annotations

from dataclasses import replace

from tintype.modelfiles.tensorflow.constants import PASSING
from tintype.modelfiles.tensorflow.flow import FlatNode, Ref
from tintype.modelfiles.tensorflow.graphdef import Library, with_functions
from tintype.modelfiles.tensorflow.pixels import Pixels, Road, follow
from tintype.modelfiles.tensorflow.reading import Reading

DECODERS = frozenset({
    "DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "DecodeGif", "DecodeAndCropJpeg",
    "DecodeWebP",
})  # fmt: skip
_JOINING = PASSING | {"Merge", "Switch", "RefSwitch"}


def decoders(reading: Reading) -> list[FlatNode]:
    """The operations that decode pictures."""
    return [node for node in reading.ancestors.values() if node.op in DECODERS]


def decodes_in_functions(reading: Reading, library: Library) -> bool:
    """Whether pictures are decoded where a graph cannot be entered: in a loop's or call's body."""
    nodes = ((flat.name, flat.node) for flat in reading.ancestors.values())
    return any(node.op in DECODERS for _, node in with_functions(nodes, library))


def behind_decoder(reading: Reading) -> Pixels | None:
    """The best place to feed decoded pixels: behind the resize, else where a batch axis appears.

    None where there is no decoder or no such place.
    """
    start = _joined(reading)
    if start is None:
        return None
    decoder = decoders(reading)[0]
    channels = decoder.node.number("channels") or 3
    dtype = decoder.node.dtype("dtype") or "uint8"
    road = follow(reading, start, rank=3, channels=channels, dtype=dtype)
    looped = _behind_loop(reading, road)
    if looped is not None:
        ahead = road.last
        road = follow(reading, looped, rank=4, channels=channels, dtype=ahead.dtype)
        inside = ahead.resized
        # what the loop did to each picture holds for the batch that comes out of it
        first = replace(ahead, at=looped, rank=4)
        if inside is not None or road.last.resized is None:
            return first
        road.places[:] = [_after(first, place) for place in road.places]
    with_resize = [place for place in road.places if place.resized is not None and place.rank == 4]
    with_batch = [place for place in road.places if place.rank == 4]
    found = with_resize or with_batch
    return found[0] if found else None


def _after(ahead: Pixels, place: Pixels) -> Pixels:
    """``place`` as seen from where ``ahead`` began."""
    return replace(
        place,
        scale=ahead.scale * place.scale,
        offset=ahead.offset * place.scale + place.offset,
        by=(*ahead.by, *place.by),
    )


def _joined(reading: Reading) -> Ref | None:
    """Where the pixels of all decoders come together: one decoder, or one for each file type."""
    found = decoders(reading)
    if not found:
        return None
    if len(found) == 1:
        return (found[0].name, 0)
    ends = {_follow_joins(reading, (node.name, 0)) for node in found}
    return ends.pop() if len(ends) == 1 else None


def _follow_joins(reading: Reading, ref: Ref) -> Ref:
    for _ in range(50):
        uses = [use for use in reading.data_uses(ref) if use[0].op in _JOINING | {"Squeeze"}]
        if len(uses) != 1 or len(reading.data_uses(ref)) != 1:
            return ref
        ref = (uses[0][0].name, 0)
    return ref


def _behind_loop(reading: Reading, road: Road) -> Ref | None:
    """Where a loop of TensorFlow 1 (``map_fn``) gives its pictures back as one batch."""
    for node, index in road.ends:
        if node.op == "TensorArrayWriteV3" and index == 2:
            array = reading.constants.source(node.inputs[0])
            for other in reading.ancestors.values():
                if other.op == "TensorArrayGatherV3" and array is not None:
                    source = reading.constants.source(other.inputs[0])
                    if source is not None and source.name == array.name:
                        return (other.name, 0)
    return None
