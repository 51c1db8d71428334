"""Batches on a Ray cluster: the rows of one machine, whoever is killed on the way."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import msgspec
import psutil
import pytest
from PIL import Image

import tintype
from tintype.bulk.rows import Done
from tintype.bulk.sources import Sources
from tintype.cluster.bulk import Answers, Orders, _parcels, in_turn, ray_road
from tintype.errors import ModelUnavailable, SettingsError
from tintype.models.library import find_cards
from tintype.predict import PredictRequest
from tintype.settings import Settings

TINTYPE = str(Path(sys.executable).parent / "tintype")
COLOURS = Path(tintype.__file__).parent / "demo/models/colours"
MANY = 10_000


def done(items: int, lines: bytes = b"") -> Done:
    return Done(items=items, failures=0, identity=b"", lines=lines)


def test_answers_come_in_turn_and_once():
    """Out of order, twice, and from before the beginning."""
    found = [
        (14, done(4, b"c")),
        (0, done(10, b"x")),
        (10, done(2, b"a")),
        (10, done(2, b"a")),
        (12, done(2, b"b")),
        (14, done(4, b"c")),
        (18, done(0)),
    ]
    assert [b"a", b"b", b"c"] == [each.lines for each in in_turn(found, 10)]


@pytest.mark.parametrize("found", [[], [(0, done(2))], [(0, done(2)), (4, done(2)), (6, done(0))]])
def test_answers_that_are_missing_are_told(found):
    """At the end, or in between: never a table with a gap in it."""
    with pytest.raises(ModelUnavailable, match="no answer for what comes after"):
        list(in_turn(found, 0))


def test_standard_input_is_refused():
    """The task that lists has another."""
    with pytest.raises(SettingsError, match="standard input"):
        ray_road(None, Sources(named=("-",), max_bytes=1, store=None), by_path=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of ten thousand small pictures, every 1000th of them broken."""
    path = tmp_path_factory.mktemp("many") / "many.tar"
    shades = []
    for shade in range(0, 255, 5):
        file = io.BytesIO()
        Image.new("RGB", (64, 64), (shade, 255 - shade, 20)).save(file, "jpeg")
        shades.append(file.getvalue())
    with tarfile.open(path, "w") as archive:
        for number in range(MANY):
            data = shades[number % len(shades)] if number % 1000 else b"broken"
            info = tarfile.TarInfo(f"{number:05}.jpg")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one machine."""
    out = tmp_path_factory.mktemp("alone") / "r.jsonl"
    words = [TINTYPE, "batch", pictures, "--model", COLOURS, "--out", out]
    subprocess.run([*map(str, words)], check=True, timeout=300, capture_output=True)
    return out


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The actors that answer, below a program that started a cluster."""
    found = []
    for each in psutil.Process(process.pid).children(recursive=True):
        try:
            title = " ".join(each.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::") and "MapWorker" in title:
            found.append(each)
    return found


def answered(folder: Path) -> int:
    """How many pictures are on the disk."""
    journal = folder / "journal"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return json.loads(lines[-1])["items"] if lines else 0


def test_a_worker_killed_on_the_way_costs_no_row_and_doubles_none(
    pictures: Path, alone: Path, tmp_path: Path
):
    """Ten thousand pictures: the same bytes as one machine writes, errors as well."""
    out = tmp_path / "r.jsonl"
    words = [TINTYPE, "batch", pictures, "--model", COLOURS, "--out", out, "--on", "ray"]
    with subprocess.Popen([*map(str, words)], stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 300
        while not (0 < answered(tmp_path / "r.jsonl.unfinished") < MANY):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.01)
        victim = workers(process)[0]
        victim.kill()
        told = process.communicate(timeout=300)[1]
    assert 0 == process.returncode, told
    assert alone.read_bytes() == out.read_bytes()
    errors = "r.errors.jsonl"
    assert (alone.parent / errors).read_bytes() == (tmp_path / errors).read_bytes()
    assert 10 == len((tmp_path / errors).read_text().splitlines())


def test_stopped_on_ray_it_goes_on_alone(pictures: Path, alone: Path, tmp_path: Path):
    """What is kept is the same wherever it was answered."""
    out = tmp_path / "r.jsonl"
    words = [TINTYPE, "batch", pictures, "--model", COLOURS, "--out", out]
    with subprocess.Popen(
        [*map(str, words), "--on", "ray"], stderr=subprocess.PIPE, text=True
    ) as process:
        until = time.monotonic() + 300
        while not answered(tmp_path / "r.jsonl.unfinished"):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert 130 == process.returncode
    done = subprocess.run(
        [*map(str, words)], check=True, timeout=300, capture_output=True, text=True
    )
    assert "going on after" in done.stderr
    assert alone.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("by_path", [False, True])
def test_parcels_hold_pictures_or_their_paths(by_path, tmp_path: Path):
    """Members of archives travel as bytes all the same; errors travel as errors."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (220, 20, 30)).save(picture, "bmp")
    (tmp_path / "a.bmp").write_bytes(picture.getvalue())
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(tmp_path / "a.bmp", "b.bmp")
    (tmp_path / "list").write_text(f"{tmp_path}/gone.png\n")
    named = tuple(f"{tmp_path}/{name}" for name in ("a.bmp", "b.tar"))
    sources = Sources(named=(*named, f"@{tmp_path}/list"), max_bytes=1 << 20, store=None)
    parcels = [*_parcels(sources, 0, by_path=by_path)]
    size = sum(table.nbytes for table in parcels)
    assert (size < 2 * len(picture.getvalue())) == by_path
    orders = Orders(
        cards=find_cards((COLOURS,)), settings=Settings(), asked=PredictRequest(image=b"")
    )
    actor = Answers(orders, 1 << 20)
    told = [
        msgspec.msgpack.decode(each.as_py(), type=tuple[int, Done])
        for table in parcels
        for each in actor(table)["parcel"]
    ]
    (found,) = in_turn(told, 0)
    assert (3, 1) == (found.items, found.failures)
    assert b"".join(item.identity for item in sources.items()) == found.identity
    one, other, gone = found.lines.splitlines()
    assert one.replace(b"a.bmp", b"b.tar/b.bmp") == other
    assert b"input-unreachable" in gone
    actor.close()


def test_a_cluster_that_is_not_there_is_told(tmp_path: Path):
    """In one line."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.bmp")
    words = [TINTYPE, "batch", tmp_path / "a.bmp", "--model", COLOURS, "--out", tmp_path / "r.csv"]
    told = subprocess.run(
        [*map(str, words), "--on", "ray", "--address", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert 1 == told.returncode
    assert "error: no Ray cluster answers at '127.0.0.1:1'" in told.stderr
