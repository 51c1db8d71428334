"""Every odd picture through the running server: no 500, nothing slow, nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

ALLOWED = {200, 413, 415, 422}
SLOWEST_SECONDS = 2.0
MEMORY_GROWTH_BYTES = 96 << 20
GOOD = "images/cat_720p.jpg"


@dataclass(frozen=True)
class Server:
    """A real ``tintype demo`` process."""

    client: httpx.Client
    process: psutil.Process


@pytest.fixture(scope="module")
def server(serving) -> Iterator[Server]:
    with serving("demo") as running, httpx.Client(base_url=running.address, timeout=30) as client:
        yield Server(client=client, process=psutil.Process(running.process.pid))


def labels(answer: httpx.Response) -> list:
    return [(result["labels"], result["error"]) for result in answer.json()["results"]]


def odd_files(data_folder: Path) -> list[Path]:
    return sorted(p for p in (data_folder / "odd-images").rglob("*") if p.is_file())


def test_every_odd_picture_is_answered_politely(server: Server, data_folder: Path):
    """Only 200, 413, 415 or 422, each within two seconds, and nothing stays behind.

    A good picture between them is answered identically; memory is back where it was.
    """
    good = (data_folder / GOOD).read_bytes()
    files = odd_files(data_folder)
    first = [labels(server.client.post("/api/predict", content=good)) for _ in range(3)][-1]
    for path in files:  # once to warm every decoder
        server.client.post("/api/predict", content=path.read_bytes())
    before = server.process.memory_info().rss
    for path in files:
        begun = time.perf_counter()
        answer = server.client.post("/api/predict", content=path.read_bytes())
        seconds = time.perf_counter() - begun
        assert answer.status_code in ALLOWED, f"{path.name}: {answer.status_code} {answer.text}"
        assert seconds < SLOWEST_SECONDS, f"{path.name} took {seconds:.2f} s"
        if answer.status_code != 200:
            assert "application/problem+json" == answer.headers["content-type"].split(";")[0]
        assert first == labels(server.client.post("/api/predict", content=good)), path.name
    assert server.process.memory_info().rss - before < MEMORY_GROWTH_BYTES


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("giant-image.jpg", 413),
        ("65536-uint32-limit.png", 413),
        ("truncated.jpg", 422),
        ("truncated.png", 422),
        ("check.svg", 415),
        ("8bit_depth.tiff", 415),
        ("pitm.avif", 415),
        ("Channel_digital_image_CMYK_color.jpg", 200),
        ("16-bit-grey-alpha.png", 200),
        ("rotating-squares.webp", 200),
    ],
)
def test_known_odd_pictures_get_their_status(server: Server, data_folder: Path, name, status):
    """Giants are 413, broken ones 422, other formats 415, odd but valid ones 200."""
    content = (data_folder / "odd-images" / name).read_bytes()
    assert status == server.client.post("/api/predict", content=content).status_code


def test_eight_orientations_are_one_picture(server: Server, data_folder: Path):
    """The same scene stored in eight orientations is upright, whatever its EXIF tag."""
    folder = data_folder / "odd-images/exif"
    sizes = {
        tuple(
            server.client.post("/api/predict", content=p.read_bytes()).json()["image"][side]
            for side in ("width", "height")
        )
        for p in folder.rglob("Landscape_*.jpg")
    }
    assert 1 == len(sizes)
