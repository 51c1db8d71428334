"""Answers as a table that others read: Parquet, CSV or JSONL, told by the ending.

Beside it the failures: ``results.errors.jsonl`` for ``results.parquet``, where there are any.
"""

from __future__ import annotations

import csv
import importlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgspec

from tintype.bulk.rows import FAILURE, Row
from tintype.errors import SettingsError

_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 32 << 20
_COLUMNS: Final = Row.__struct_fields__


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How many rows and failures were written."""

    rows: int
    failures: int


class _Writer(Protocol):
    def add(self, line: bytes) -> None:
        """Take one row, as JSON with a line's end."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


def check_output(out: Path) -> None:
    """Raise SettingsError for a path that results cannot be written to: known before the work."""
    if out.suffix not in _WRITERS:
        raise SettingsError(
            f"--out {out}: expected a name that ends in {', '.join(_WRITERS)}",
        )
    if not out.parent.is_dir():
        raise SettingsError(f"--out: there is no folder {out.parent}")
    if out.is_dir():
        raise SettingsError(f"--out {out} is a folder")
    if out.suffix == ".parquet":
        _pyarrow()


def errors_path(out: Path) -> Path:
    """Where the failures are written."""
    return out.with_suffix(".errors.jsonl")


def write_results(lines: Iterator[bytes], out: Path) -> Written:
    """Write the lines of ``Unfinished`` as tables. Each file is there whole, or as it was before.

    The results come last: where they are, the failures are, too.
    """
    rows = failures = 0
    errors = errors_path(out)
    with _replacing(errors) as unread, _replacing(out) as table:
        writer = _WRITERS[out.suffix](table)
        for line in lines:
            if line.startswith(FAILURE):
                failures += 1
                unread.write(line[1:])
            else:
                rows += 1
                writer.add(line[1:])
        writer.close()
    if not failures:
        errors.unlink()
    return Written(rows=rows, failures=failures)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside ``path`` that takes its place, once it is on the disk."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


class _Lines:
    """JSON, an object a line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, line: bytes) -> None:
        self._file.write(line)

    def close(self) -> None:
        """Nothing is left."""


class _Table:
    """CSV by RFC 4180, in UTF-8. Lists and boxes are JSON in one field."""

    def __init__(self, file: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        self._rows = csv.writer(self._text)
        self._rows.writerow(_COLUMNS)

    def add(self, line: bytes) -> None:
        row = msgspec.json.decode(line)
        self._rows.writerow([_field(row[name]) for name in _COLUMNS])

    def close(self) -> None:
        self._text.detach()


def _field(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


class _Parquet:
    """Parquet, in groups of rows that fit into memory.

    Arrow reads the lines itself: a third of the time of rows made in Python, for which it would
    import pandas besides, wherever that is installed: over a second.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._arrow = _pyarrow()
        self._schema = _schema(self._arrow)
        self._file = self._arrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._lines: list[bytes] = []
        self._bytes = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        if len(self._lines) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write()

    def close(self) -> None:
        self._write()
        self._file.close()

    def _write(self) -> None:
        if self._lines:
            self._file.write_table(self._table(b"".join(self._lines)))
        self._lines, self._bytes = [], 0

    def _table(self, lines: bytes) -> Any:
        json = self._arrow.json
        return json.read_json(
            self._arrow.BufferReader(lines),
            # one block: a row may be longer than the usual one
            read_options=json.ReadOptions(use_threads=False, block_size=len(lines)),
            parse_options=json.ParseOptions(
                explicit_schema=self._schema, unexpected_field_behavior="error"
            ),
        )


def _schema(arrow: Any) -> Any:
    text, number, whole = arrow.string(), arrow.float64(), arrow.int32()
    box = arrow.struct(
        [("index", whole), ("label", text)]
        + [(name, number) for name in ("score", "x1", "y1", "x2", "y2")]
    )
    kinds = {
        **dict.fromkeys(("width", "height", "index"), whole),
        **dict.fromkeys(("point_x", "point_y", "score"), number),
        "labels": arrow.list_(text),
        "scores": arrow.list_(number),
        "indexes": arrow.list_(whole),
        "boxes": arrow.list_(box),
        "warnings": arrow.list_(text),
    }
    return arrow.schema([(name, kinds.get(name, text)) for name in _COLUMNS])


def _pyarrow() -> Any:
    try:
        arrow = importlib.import_module("pyarrow")  # an extra, and slow to import
        for part in ("json", "parquet"):  # that may be left out
            importlib.import_module(f"pyarrow.{part}")
    except ImportError as error:
        raise SettingsError(
            f"Parquet is written by pyarrow, which is not installed ({error})",
            hint="pip install 'tintype[batch]', or --out results.csv, or results.jsonl",
        ) from error
    return arrow


_WRITERS: Final[dict[str, Callable[[IO[bytes]], _Writer]]] = {
    ".parquet": _Parquet,
    ".csv": _Table,
    ".jsonl": _Lines,
}
