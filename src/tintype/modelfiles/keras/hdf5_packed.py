"""Packed weights of an HDF5 file: by filters that are known, and no longer than they declare."""

from __future__ import annotations

import zlib
from typing import Any

from tintype.errors import ModelFileDamaged, ModelFileTooLarge, UnsafeModel

_DEFLATE, _SHUFFLE, _CHECKSUM, _LZF = 1, 2, 3, 32000
_KNOWN_FILTERS = frozenset({_DEFLATE, _SHUFFLE, _CHECKSUM, _LZF})
"""HDF5's registry of filters. LZF cannot pack more than 88 to 1, Deflate 1032 to 1."""

_MAX_CHUNKS = 100_000
"""Most pieces of a packed weight: each is looked at before HDF5 unpacks it."""


def check_filters(filters: list[int], path: str) -> None:
    """Only filters that HDF5 or h5py bring along. Raises UnsafeModel."""
    for code in filters:
        if code not in _KNOWN_FILTERS:
            raise UnsafeModel(
                f"the weight {path!r} is packed by the plug-in filter {code}, which is not loaded"
            )


def check_packed(dataset: Any, filters: list[int], length: int, path: str) -> None:
    """Unpack each piece up to ``length``, which it declares; HDF5 itself would go on to its end.

    Filters are applied last to first when a piece is read: a checksum is cut off, then Deflate.
    """
    if _DEFLATE not in filters:
        return
    if filters.count(_DEFLATE) > 1 or filters[filters.index(_DEFLATE) :] not in (
        [_DEFLATE],
        [_DEFLATE, _CHECKSUM],
    ):
        raise UnsafeModel(f"the weight {path!r} is packed by the filters {filters} one on another")
    places: list[tuple[int, ...]] = []

    def keep(info: Any) -> bool | None:
        places.append(info.chunk_offset)
        return True if len(places) > _MAX_CHUNKS else None

    dataset.id.chunk_iter(keep)
    if len(places) > _MAX_CHUNKS:
        raise ModelFileTooLarge(f"the weight {path!r} lies in more than {_MAX_CHUNKS} pieces")
    for place in places:
        mask, packed = dataset.id.read_direct_chunk(place)
        if not mask >> filters.index(_DEFLATE) & 1:
            _check_piece(packed, length, path)


def _check_piece(packed: bytes, length: int, path: str) -> None:
    unpacker = zlib.decompressobj()
    try:
        # HDF5 stores checksums (filters before this one) behind the numbers: four bytes each.
        unpacker.decompress(packed, length + 64)
    except zlib.error as error:
        raise ModelFileDamaged(f"the weight {path!r} cannot be unpacked ({error})") from error
    if unpacker.unconsumed_tail:
        raise ModelFileTooLarge(
            f"a piece of the weight {path!r} declares {length} bytes and unpacks to more"
        )
