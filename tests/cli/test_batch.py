"""``tintype batch`` as a person meets it: on folders, archives, stores, and killed on the way."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

import tintype
from tintype.record.fake_store import KEY, SECRET, running_store

TINTYPE = str(Path(sys.executable).parent / "tintype")
COLOURS = Path(tintype.__file__).parent / "demo/models/colours"
LEVELS = {"red": (220, 20, 30), "blue": (20, 40, 210), "green": (20, 140, 40)}
MANY = 10_000


def run(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TINTYPE, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def jpeg(*level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), level).save(file, "jpeg")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three colours, and one that is no picture."""
    (tmp_path / "in").mkdir()
    for name, level in LEVELS.items():
        (tmp_path / f"in/{name}.jpg").write_bytes(jpeg(*level))
    (tmp_path / "in/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return tmp_path


def test_a_folder_becomes_a_table(folder: Path):
    """A row a picture, in order; what is broken beside it; words and progress on stderr."""
    out = folder / "r.parquet"
    told = run("batch", folder / "in", "--model", COLOURS, "--out", out)
    assert (0, "") == (told.returncode, told.stdout)
    rows = parquet.read_table(out).to_pylist()
    assert ["blue", "green", "red"] == [Path(row["source"]).stem for row in rows]
    assert ["blue", "green", "red"] == [row["label"] for row in rows]
    (failure,) = map(json.loads, (folder / "r.errors.jsonl").read_text().splitlines())
    assert (str(folder / "in/broken.jpg"), "image-truncated") == (
        failure["source"],
        failure["error"],
    )
    assert "pictures 4 of 4, 1 without an answer" in told.stderr
    assert f"without an answer: 1, told in {folder}/r.errors.jsonl" in told.stderr
    assert ["in", "r.errors.jsonl", "r.parquet"] == sorted(each.name for each in folder.iterdir())


def test_a_batch_without_a_single_answer_has_failed(folder: Path):
    """A script can tell; the reasons are where they always are."""
    told = run(
        *("batch", folder / "in/broken.jpg", "--model", COLOURS, "--out", folder / "r.jsonl")
    )
    assert (1, "") == (told.returncode, told.stdout)
    assert "image-truncated" in (folder / "r.errors.jsonl").read_text()


def test_answers_are_those_of_predict(folder: Path):
    """To the last bit, with the same flags."""
    flags = ("--top", 2, "--threshold", 0.01, "--x", 5, "--y", 7)
    run("batch", folder / "in/red.jpg", "--model", COLOURS, "--out", folder / "r.jsonl", *flags)
    (row,) = map(json.loads, (folder / "r.jsonl").read_text().splitlines())
    told = json.loads(run("predict", COLOURS, folder / "in/red.jpg", "--json", *flags).stdout)
    (result,) = told["results"]
    assert [each["score"] for each in result["labels"]] == row["scores"]
    assert [each["label"] for each in result["labels"]] == row["labels"]
    assert (told["image"]["sha256"], 5.0, 7.0) == (row["sha256"], row["point_x"], row["point_y"])


def test_a_list_is_read_from_standard_input(folder: Path):
    """A missing file is a line of the errors."""
    told = run(
        *("batch", "-", "--model", COLOURS, "--out", folder / "r.csv"),
        input=f"{folder}/in/green.jpg\n{folder}/gone.jpg\n",
    )
    assert 0 == told.returncode
    with (folder / "r.csv").open(newline="") as file:
        assert ["green"] == [row["label"] for row in csv.DictReader(file)]
    assert "input-unreachable" in (folder / "r.errors.jsonl").read_text()


def test_several_models_are_asked(folder: Path):
    """A row for each."""
    other = folder / "other"
    other.mkdir()
    for each in COLOURS.iterdir():
        (other / each.name).write_bytes(each.read_bytes())
    (other / "model.toml").write_text((COLOURS / "model.toml").read_text() + "\n")
    told = run(
        *("batch", folder / "in/red.jpg", "--model", COLOURS.parent, "--out", folder / "r.jsonl")
    )
    assert 0 == told.returncode
    rows = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
    assert ["cats-dogs", "colours"] == sorted(row["model"] for row in rows)


def test_a_bucket_is_a_source(folder: Path, monkeypatch):
    """By the endpoint and the keys that kept pictures have."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with running_store() as (endpoint, objects):
        for name, level in LEVELS.items():
            objects[f"/pets/kept/{name}.jpg"] = jpeg(*level)
        monkeypatch.setenv("TINTYPE_PICTURES_ENDPOINT", endpoint)
        told = run("batch", "s3://pets/kept", "--model", COLOURS, "--out", folder / "r.jsonl")
    assert 0 == told.returncode, told.stderr
    rows = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
    assert ["blue", "green", "red"] == [row["label"] for row in rows]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["gone", "--model", COLOURS, "--out", "r.csv"], "there is no file or folder gone"),
        ([".", "--model", COLOURS, "--out", "r.txt"], "ends in .parquet, .csv, .jsonl"),
        ([".", "--model", COLOURS, "--out", "r.csv", "--x", "1"], "both --x and --y"),
    ],
)
def test_slips_are_told_before_any_work(words, why, tmp_path: Path):
    """One line, exit code 1, nothing written."""
    told = run("batch", *words, cwd=tmp_path)
    assert 1 == told.returncode
    assert why in told.stderr
    assert [] == [*tmp_path.iterdir()]


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed tar of ten thousand pictures, every 1000th of them broken."""
    path = tmp_path_factory.mktemp("many") / "many.tar.gz"
    shades = [jpeg(shade, 255 - shade, 20) for shade in range(0, 255, 5)]
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(MANY):
            data = shades[number % len(shades)] if number % 1000 else b"broken"
            info = tarfile.TarInfo(f"{number:05}.jpg")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def answered(folder: Path) -> int:
    """How many pictures have their answers on the disk."""
    journal = folder / "journal"
    lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
    return json.loads(lines[-1])["items"] if lines and lines[-1].endswith(b"\n") else 0


def wait_past(items: int, folder: Path, process: subprocess.Popen) -> None:
    """Until more than so many are answered."""
    until = time.monotonic() + 60
    while answered(folder) <= items:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.01)


def test_on_ray_is_for_processors(tmp_path: Path):
    """A model on a GPU is refused before a cluster is started."""
    (tmp_path / "red.jpg").write_bytes(jpeg(220, 20, 30))
    flags = ("--on", "ray", "--device", "cuda")
    done = run("batch", tmp_path, "--model", COLOURS, "--out", tmp_path / "r.csv", *flags)
    assert 1 == done.returncode
    assert "is to run on cuda, and bulk work on Ray runs on cpu" in done.stderr


def test_killed_again_and_again_every_row_comes_once(many: Path, tmp_path: Path):
    """Ten thousand pictures, killed without warning, then stopped by hand: as one whole run."""
    out = tmp_path / "r.jsonl"
    words = [TINTYPE, "batch", str(many), "--model", str(COLOURS), "--out", str(out)]
    unfinished, places = tmp_path / "r.jsonl.unfinished", [0]
    for way in (signal.SIGKILL, signal.SIGINT):
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            wait_past(places[-1], unfinished, process)
            os.kill(process.pid, way)
            process.wait(60)
        places.append(answered(unfinished))
    assert 0 < places[1] < places[2] < MANY
    told = run(*words[1:])
    assert 0 == told.returncode, told.stderr
    assert f"going on after {places[2]} pictures" in told.stderr
    whole = tmp_path / "whole.jsonl"
    assert 0 == run(*words[1:-1], whole).returncode
    assert whole.read_bytes() == out.read_bytes()
    sources = [json.loads(line)["source"] for line in out.read_text().splitlines()]
    broken = [
        json.loads(line)["source"]
        for line in (tmp_path / "r.errors.jsonl").read_text().splitlines()
    ]
    assert 10 == len(broken)
    assert [f"{many}/{number:05}.jpg" for number in range(MANY)] == sorted(sources + broken)
