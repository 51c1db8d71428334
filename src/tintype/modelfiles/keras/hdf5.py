"""HDF5 opened with care: no links out of the file, nothing allocated before it is checked.

Rules kept here, because a model file is a stranger's:

- only hard links are followed (soft and external links, virtual datasets and external storage
  can point at any file of the machine);
- the filters are the ones that HDF5 or h5py bring along (others are plug-ins, found on disk);
- a dataset's declared size is held against the bytes of the file before it is read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tintype.errors import ModelFileDamaged, ModelFileError, ModelFileTooLarge, UnsafeModel
from tintype.modelfiles.keras.hdf5_packed import check_filters, check_packed
from tintype.modelfiles.keras.hdf5_texts import length_of_texts

MAX_TEXT_BYTES = 64 << 20
"""Largest attribute that is read: the configuration of the largest published model has 3 MB."""

MAX_NAMES = 100_000
"""Most entries of a list of names."""

_FREE_BYTES = 64 << 20
_MAX_EXPANSION = 100
"""Trained weights hardly compress; what claims to have shrunk a hundredfold is a bomb."""

_HARD_LINK = 0
"""``H5L_TYPE_HARD`` of HDF5's H5Lpublic.h."""

_MAX_SPREAD = 1 << 30
"""Most bytes that a list of texts of any length may become: entries times the file's size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A weight as it lies in the file, not read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dataset: Any = field(repr=False)
    bfloat16: bool = False

    def read(self) -> npt.NDArray[Any]:
        """The values. Raises ModelFileDamaged where the file cannot give them."""
        with hdf5_errors(f"weight {self.name!r}"):
            values = np.asarray(self.dataset[()])
            return _from_bfloat16(values) if self.bfloat16 else values


@contextmanager
def hdf5_errors(what: str) -> Iterator[None]:
    """The one border to h5py: whatever it raises on a bad file becomes ModelFileDamaged."""
    try:
        yield
    except ModelFileError:
        raise
    except (
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        MemoryError,
        SystemError,
    ) as error:
        # h5py turns one and the same damage into different classes, by where HDF5 noticed it.
        raise ModelFileDamaged(
            f"the HDF5 file is damaged: {what} cannot be read ({_one_line(error)})",
            hint="copy or download the file again, or save the model once more",
        ) from error


class Hdf5Reader:
    """A read-only view of an HDF5 file that keeps the rules above.

    ``budget`` is what all datasets together may declare, in bytes; ``source`` is the file, or its
    bytes.
    """

    def __init__(self, root: Any, *, budget: int, source: Path | bytes) -> None:
        self._root = root
        self._source = source
        self._size = _size_of(source)
        self._budget = budget
        self._groups: dict[str, Any] = {"": root}

    def group(self, path: str) -> Any | None:
        """The group at ``path`` (parts joined by ``/``), or None where there is none."""
        if path not in self._groups:
            self._groups[path] = self._find_group(path)
        return self._groups[path]

    def children(self, path: str) -> tuple[str, ...]:
        """The names in a group, none where there is no such group."""
        group = self.group(path)
        if group is None:
            return ()
        with hdf5_errors(f"group {path!r}"):
            return tuple(str(name) for name in group)

    def weight(self, path: str) -> Stored | None:
        """The dataset at ``path``, checked and not yet read; None where there is none."""
        parent, _, name = path.rpartition("/")
        group = self.group(parent)
        if group is None:
            return None
        with hdf5_errors(f"weight {path!r}"):
            dataset = _child(group, name, path)
            if dataset is None:
                return None
            return self._checked(dataset, path)

    def text(self, path: str, name: str) -> str | None:
        """A text attribute of a group, None where it is absent."""
        value = self._attribute(path, name)
        if value is None:
            return None
        if isinstance(value, bytes | np.bytes_):
            return bytes(value).decode("utf-8", errors="replace")
        if isinstance(value, str):
            return str(value)
        raise ModelFileDamaged(f"the attribute {name!r} should be text, not {type(value).__name__}")

    def names(self, path: str, name: str) -> tuple[str, ...] | None:
        """A list of texts stored as an attribute; long lists are cut into ``name0``, ``name1``...

        HDF5 limits an attribute to 64 kB, and Keras cuts its lists at that length.
        """
        whole = self._attribute(path, name)
        if whole is not None:
            return _texts(whole, name)
        parts: list[str] = []
        for number in range(MAX_NAMES):
            part = self._attribute(path, f"{name}{number}")
            if part is None:
                return tuple(parts) if number else None
            parts.extend(_texts(part, name))
        raise ModelFileTooLarge(f"the list {name!r} has more than {MAX_NAMES} parts")

    def _attribute(self, path: str, name: str) -> Any:
        group = self.group(path)
        if group is None:
            return None
        with hdf5_errors(f"attribute {name!r}"):
            if name not in group.attrs:
                return None
            attribute = group.attrs.get_id(name)
            count = math.prod(attribute.shape or ())
            size = count * attribute.dtype.itemsize
            self._check_spread(group, attribute, count, name)
            if size > MAX_TEXT_BYTES:
                raise ModelFileTooLarge(
                    f"the attribute {name!r} declares {size} bytes; at most {MAX_TEXT_BYTES} are "
                    "read",
                    limit=MAX_TEXT_BYTES,
                    actual=size,
                )
            return group.attrs[name]

    def _check_spread(self, group: Any, attribute: Any, count: int, name: str) -> None:
        """Texts of any length lie in a heap, where many entries may name one and the same."""
        if attribute.dtype.kind != "O" or count <= 1 or count * self._size <= _MAX_SPREAD:
            return
        import h5py  # noqa: PLC0415 - slow to import, and loaded where there is a group

        place = h5py.h5o.get_info(group.id).addr
        length = length_of_texts(self._read, place, name, count)
        if length is None or length > MAX_TEXT_BYTES:
            long = "an unknown number of" if length is None else str(length)
            raise ModelFileTooLarge(
                f"the list {name!r} of {count} texts has {long} bytes; at most {MAX_TEXT_BYTES} "
                "are read",
                hint="write the list as texts of one length: numpy.array(names, 'S')",
                limit=MAX_TEXT_BYTES,
            )

    def _read(self, begin: int, count: int) -> bytes:
        """Bytes of the file, no more than a list of texts may have."""
        count = min(count, MAX_TEXT_BYTES)
        if isinstance(self._source, bytes):
            return self._source[begin : begin + count]
        with self._source.open("rb") as file:
            file.seek(begin)
            return file.read(count)

    def _find_group(self, path: str) -> Any | None:
        parent, _, name = path.rpartition("/")
        group = self.group(parent)
        if group is None:
            return None
        with hdf5_errors(f"group {path!r}"):
            child = _child(group, name, path)
        # A dataset has a shape, a group has none.
        return None if child is None or hasattr(child, "shape") else child

    def _checked(self, dataset: Any, path: str) -> Stored:
        if not hasattr(dataset, "shape"):
            raise ModelFileDamaged(f"{path!r} should be a weight, but it is a group")
        dtype, plan = dataset.dtype, dataset.id.get_create_plist()  # h5py makes both anew each time
        if dataset.is_virtual or plan.get_external_count():
            raise UnsafeModel(f"the weight {path!r} takes its numbers from another file")
        bfloat16 = _is_bfloat16(dataset, dtype)
        if dtype.kind not in "fiub" and not bfloat16:
            raise UnsafeModel(f"the weight {path!r} holds {dtype}, not numbers: it may be a pickle")
        filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
        check_filters(filters, path)
        shape = tuple(int(length) for length in dataset.shape or ())
        chunk = math.prod(dataset.chunks or ()) * dtype.itemsize
        self._spend(math.prod(shape) * dtype.itemsize, chunk, dataset, path)
        check_packed(dataset, filters, chunk, path)
        return Stored(name=path, shape=shape, dtype=dtype, dataset=dataset, bfloat16=bfloat16)

    def _spend(self, size: int, chunk: int, dataset: Any, path: str) -> None:
        """Take what a weight declares off the budget; ``chunk`` is the size of a piece, or 0."""
        if dataset.chunks is None and dataset.id.get_storage_size() < size:
            raise ModelFileDamaged(
                f"the weight {path!r} declares {size} bytes, but only "
                f"{dataset.id.get_storage_size()} are in the file"
            )
        self._budget -= max(size, chunk)
        if self._budget < 0:
            raise ModelFileTooLarge(
                f"the weights declare far more bytes than the file has (seen at {path!r}, "
                f"{size} bytes)",
                hint="a whole file of trained weights never shrinks a hundredfold; save it again",
                actual=size,
            )


@contextmanager
def open_hdf5(source: Path | bytes, *, max_bytes: int) -> Iterator[Hdf5Reader]:
    """Open an HDF5 file, or the bytes of one, for reading.

    Raises ModelFileDamaged where it is none, and ModelFileTooLarge where it has more than
    ``max_bytes``.
    """
    import h5py  # noqa: PLC0415 - 0.1 s to import: only when a Keras file is there

    with hdf5_errors("its beginning"):
        budget = min(max_bytes, max(_FREE_BYTES, _MAX_EXPANSION * _size_of(source)))
        file = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
    try:
        yield Hdf5Reader(file, budget=budget, source=source)
    finally:
        file.close()


def _size_of(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _is_bfloat16(dataset: Any, dtype: np.dtype[Any]) -> bool:
    """HDF5 has no bfloat16: Keras 3 stores two opaque bytes, and tells so in an attribute.

    In its ``.h5`` form the attribute is missing (keras ``saving/saving_lib.py``, H5IOStore).
    """
    if dtype.itemsize != 2 or dtype.kind not in "Vu":
        return False
    opaque = dtype.kind == "V" and dtype.names is None
    if "dtype" not in dataset.attrs:
        return opaque
    attribute = dataset.attrs.get_id("dtype")
    told = dataset.attrs["dtype"] if attribute.shape == () else None
    return told in {"bfloat16", b"bfloat16"}


def _from_bfloat16(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The upper half of a float32, given the lower one in zeros."""
    halves = np.frombuffer(values.tobytes(), "<u2").astype(np.uint32) << 16
    return halves.view(np.float32).reshape(values.shape)


def _child(group: Any, name: str, path: str) -> Any | None:
    if not name:
        return None
    links, raw = group.id.links, name.encode()
    if not links.exists(raw):
        return None
    if links.get_info(raw).type != _HARD_LINK:
        raise UnsafeModel(f"{path!r} is a link to another place, which is not followed")
    return group[name]


def _texts(value: Any, name: str) -> tuple[str, ...]:
    items = np.asarray(value).ravel().tolist()
    if len(items) > MAX_NAMES:
        raise ModelFileTooLarge(f"the list {name!r} has more than {MAX_NAMES} entries")
    texts = [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in items]
    if not all(isinstance(text, str) for text in texts):
        raise ModelFileDamaged(f"the list {name!r} should hold texts")
    return tuple(str(text) for text in texts)


def _one_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
