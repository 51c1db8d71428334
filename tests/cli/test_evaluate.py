"""``tintype evaluate`` as a person meets it, on real pictures and a real model."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import tintype

TINTYPE = str(Path(sys.executable).parent / "tintype")
DEMO = Path(tintype.__file__).parent / "demo"
COLOURS = DEMO / "models/colours"
LEVELS = {"red": (220, 20, 30), "Blue": (20, 40, 210), "green_": (20, 140, 40)}


def run(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TINTYPE, *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours, two pictures each, one mistaken on purpose and one that is no picture."""
    folder = tmp_path_factory.mktemp("labelled")
    for name, level in LEVELS.items():
        (folder / name).mkdir()
        for number in range(2):
            shade = tuple(max(0, part - 8 * number) for part in level)
            Image.new("RGB", (40, 30), shade).save(folder / name / f"{number}.png")
    Image.new("RGB", (40, 30), LEVELS["Blue"]).save(folder / "red/mistaken.png")
    (folder / "red/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    report = tmp_path_factory.mktemp("report") / "report.html"
    return run("evaluate", COLOURS, folder, "--report", report), report


def test_the_figures_are_told_with_their_interval(done):
    """6 of 7; the broken file is listed and left out, and the exit code says so."""
    told, _ = done
    assert re.search(r"accuracy  85\.7 % \(6 of 7; 95 % interval 48\.7 to 97\.4 %\)", told.stdout)
    assert "no answer for 1 file, left out of the figures" in told.stdout
    assert re.search(r"red/mistaken\.png: [01]\.\d{3} blue, is red", told.stdout)
    assert 1 == told.returncode


def test_what_folders_were_taken_for_is_said(done):
    """And progress, both on stderr."""
    told, _ = done
    assert "'Blue' is the label 'blue', but for case and spaces" in told.stderr
    assert "evaluated 8 of 8, 6 right" in told.stderr


class Links(HTMLParser):
    """Collects everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag, attrs):
        """Look at the addresses of a tag."""
        assert tag not in {"script", "link", "iframe"}
        addresses = [value for name, value in attrs if name in {"src", "href"}]
        self.pictures += sum(value.startswith("data:image/jpeg") for value in addresses)
        self.found += [value for value in addresses if not value.startswith("data:")]


def test_the_report_needs_nothing_but_itself(done):
    """No script, no address; the mistake is shown as a picture."""
    _, report = done
    text = report.read_text("utf-8")
    links = Links()
    links.feed(text)
    assert ([], 1) == (links.found, links.pictures)
    assert "url(" not in text
    assert "85.7 %" in text


def test_json_is_one_object(folder: Path):
    """With the same figures."""
    told = json.loads(run("evaluate", COLOURS, folder, "--json").stdout)
    assert (6, 7) == (told["report"]["accuracy"]["right"], told["report"]["accuracy"]["judged"])
    assert 1 == len(told["unread"])
    assert ["red/mistaken.png"] == [
        str(Path(each["file"]).relative_to(folder)) for each in told["mistakes"]
    ]


def test_csv_has_a_line_a_picture(folder: Path):
    """Eight files, a head, and nothing else on stdout."""
    rows = list(csv.DictReader(io.StringIO(run("evaluate", COLOURS, folder, "--csv").stdout)))
    assert 8 == len(rows)
    assert 6 == sum(row["correct"] == "true" for row in rows)


def test_a_folder_that_is_no_label_is_refused(folder: Path, tmp_path: Path):
    """In words, before any picture is asked."""
    (tmp_path / "sky").mkdir()
    (tmp_path / "sky/a.png").write_bytes((folder / "red/0.png").read_bytes())
    told = run("evaluate", COLOURS, tmp_path)
    assert (1, "") == (told.returncode, told.stdout)
    assert "no label of the model is called 'sky'" in told.stderr
    assert 0 == run("evaluate", COLOURS, tmp_path, "--folder", "sky=blue").returncode


def test_a_report_that_cannot_be_written_is_told_first(folder: Path, tmp_path: Path):
    """Before the work is done, not after."""
    told = run("evaluate", COLOURS, folder, "--report", tmp_path / "none/report.html")
    assert (1, "") == (told.returncode, told.stdout)
    assert "there is no folder" in told.stderr


def test_two_forms_at_once_are_refused(folder: Path):
    """Both would go to stdout."""
    told = run("evaluate", COLOURS, folder, "--json", "--csv")
    assert (1, True) == (told.returncode, "give one of them" in told.stderr)


def test_the_bundled_model_is_as_good_as_its_page_says(data_folder: Path):
    """The confusion matrix of docs/models/cats-dogs.json, through Tintype's own decode."""
    known = json.loads((DEMO.parents[2] / "docs/models/cats-dogs.json").read_text())
    told = json.loads(
        run(
            "evaluate", DEMO / "models/cats-dogs", data_folder / "cats-dogs/validation", "--json"
        ).stdout
    )
    cells = {(e["right"], e["answered"]): e["count"] for e in told["report"]["confusion"]}
    names = ("cat", "dog")
    assert known["validation"]["confusion"] == [[cells[a, b] for b in names] for a in names]
    assert known["validation"]["accuracy"] == round(told["report"]["accuracy"]["value"], 4)
