"""Answers are written as tables that others read, whole or not at all."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import msgspec
import pytest
from pyarrow import parquet

from tintype.bulk import results
from tintype.bulk.results import check_output, errors_path, write_results
from tintype.bulk.rows import Failure, Row
from tintype.errors import SettingsError
from tintype.types import Box

ROW = Row(
    source="a, b.jpg", sha256="ab", width=4, height=3, format="png", model="pets", version="1",
    recipe='{"preset":"raw"}', point_x=None, point_y=None, label="dög", score=0.1 + 0.2, index=1,
    labels=("dög", "cat"), scores=(0.1 + 0.2, 1e-12), indexes=(1, 0), boxes=None,
    warnings=("animated",),
)  # fmt: skip
BOXES = msgspec.structs.replace(
    ROW,
    source="c.jpg",
    labels=None,
    scores=None,
    indexes=None,
    boxes=(Box(index=2, label="hen", score=0.5, x1=0.0, y1=1.5, x2=2.0, y2=3.0),),
    warnings=(),
    point_x=1.5,
    point_y=2.0,
)
FAILURE = Failure(source="d.jpg", model=None, error="image-corrupt", message="torn")


def lines(*entries: Row | Failure):
    for each in entries:
        kind = b"E" if isinstance(each, Failure) else b"R"
        yield kind + msgspec.json.encode(each) + b"\n"


def plain(*rows: Row) -> list[dict]:
    """As JSON says them."""
    return [json.loads(msgspec.json.encode(row)) for row in rows]


def test_parquet_has_every_value(tmp_path):
    """Numbers to the last bit; lists as lists; the columns of a row in order."""
    out = tmp_path / "r.parquet"
    told = write_results(lines(ROW, FAILURE, BOXES), out)
    assert (2, 1) == (told.rows, told.failures)
    table = parquet.read_table(out)
    assert [*Row.__struct_fields__] == table.column_names
    assert plain(ROW, BOXES) == table.to_pylist()


def test_parquet_is_written_in_groups(tmp_path, monkeypatch):
    """Memory is bounded, by rows and by bytes."""
    monkeypatch.setattr(results, "_GROUP_ROWS", 10)
    write_results(lines(*[ROW] * 25), tmp_path / "r.parquet")
    assert 3 == parquet.ParquetFile(tmp_path / "r.parquet").num_row_groups
    monkeypatch.setattr(results, "_GROUP_BYTES", 1)
    write_results(lines(*[ROW] * 25), tmp_path / "r.parquet")
    assert 25 == parquet.ParquetFile(tmp_path / "r.parquet").num_row_groups


def test_parquet_takes_rows_of_any_length(tmp_path):
    """Longer than the megabyte that Arrow reads at a time."""
    long = msgspec.structs.replace(ROW, labels=("x" * 5_000_000,), scores=(1.0,), indexes=(0,))
    write_results(lines(ROW, long, BOXES), tmp_path / "r.parquet")
    assert plain(ROW, long, BOXES) == parquet.read_table(tmp_path / "r.parquet").to_pylist()


def test_parquet_is_written_without_pandas(tmp_path):
    """Importing it takes longer than answering some hundred pictures."""
    program = (
        "import sys; from pathlib import Path; from tintype.bulk.results import write_results; "
        "write_results(iter([Path(sys.argv[1]).read_bytes()]), Path(sys.argv[2])); "
        "sys.exit('pandas' in sys.modules)"
    )
    (tmp_path / "line").write_bytes(next(lines(ROW)))
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "line", tmp_path / "r.parquet"], check=True
    )
    assert plain(ROW) == parquet.read_table(tmp_path / "r.parquet").to_pylist()


def test_parquet_without_rows_has_its_columns(tmp_path):
    """Where every picture was broken."""
    write_results(lines(FAILURE), tmp_path / "r.parquet")
    table = parquet.read_table(tmp_path / "r.parquet")
    assert (0, [*Row.__struct_fields__]) == (table.num_rows, table.column_names)


def test_jsonl_has_an_object_a_line(tmp_path):
    """The same values."""
    write_results(lines(ROW, BOXES), tmp_path / "r.jsonl")
    text = (tmp_path / "r.jsonl").read_text()
    assert plain(ROW, BOXES) == [json.loads(line) for line in text.splitlines()]


def test_csv_has_flat_columns_and_json_in_the_others(tmp_path):
    """RFC 4180: quotes where they are needed, numbers that read back as they were."""
    write_results(lines(ROW, BOXES), tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert ("a, b.jpg", "dög", 0.1 + 0.2, "") == (
        first["source"],
        first["label"],
        float(first["score"]),
        first["point_x"],
    )
    assert ([0.1 + 0.2, 1e-12], ["dög", "cat"]) == (
        json.loads(first["scores"]),
        json.loads(first["labels"]),
    )
    assert ("", 1.5) == (second["labels"], json.loads(second["boxes"])[0]["y1"])


def test_failures_have_a_file_of_their_own(tmp_path):
    """Source, slug and message; none where there are none, also not of a run before."""
    out = tmp_path / "r.csv"
    write_results(lines(ROW, FAILURE), out)
    (failure,) = errors_path(out).read_text().splitlines()
    assert {"source": "d.jpg", "model": None, "error": "image-corrupt", "message": "torn"} == (
        json.loads(failure)
    )
    write_results(lines(ROW), out)
    assert [out] == [*tmp_path.iterdir()]


def test_results_are_there_whole_or_as_they_were(tmp_path):
    """Whatever happens on the way."""
    out = tmp_path / "r.jsonl"
    out.write_text("before")

    def broken():
        yield from lines(ROW)
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        write_results(broken(), out)
    assert ("before", [out]) == (out.read_text(), [*tmp_path.iterdir()])


@pytest.mark.parametrize(
    ("name", "why"),
    [("r.xlsx", "ends in"), ("gone/r.csv", "no folder"), ("folder.csv", "is a folder")],
)
def test_where_results_cannot_go_is_told_at_the_start(tmp_path, name, why):
    """Hours before they would be written."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SettingsError, match=why):
        check_output(tmp_path / name)


def test_parquet_without_pyarrow_is_told_at_the_start(tmp_path, monkeypatch):
    """With what to install, and what goes without."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SettingsError, match="not installed") as told:
        check_output(tmp_path / "r.parquet")
    assert "tintype[batch]" in told.value.hint
    check_output(tmp_path / "r.csv")
