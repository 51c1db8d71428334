"""The README shows what a newcomer sees."""

from __future__ import annotations

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from tintype.cli.app import build_app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def shape(value: object) -> object:
    """What stays the same from run to run: keys, words, and numbers to two places."""
    if isinstance(value, dict):
        changing = {"id", "seconds"}
        return {k: type(v) if k in changing else shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return round(value, 2) if isinstance(value, float) else value


def test_the_curl_line_gets_the_answer_shown():
    """The same picture, point and top, asked of the bundled models."""
    picture, x, y, top = re.search(r"@(\S+) '\S+x=(\d+)&y=(\d+)&top=(\d+)'", README).groups()
    shown = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL)[1])
    models = ROOT / "src/tintype/demo/models"
    words = ["predict", str(models), str(ROOT / picture), "--x", x, "--y", y, "--top", top]
    run = CliRunner().invoke(build_app("predict"), [*words, "--json"])
    answer = json.loads(run.stdout)
    del answer["file"]
    assert shape(shown) == shape(answer)


def test_its_commands_are_in_the_makefile():
    """Every `make` it speaks of is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets


def test_what_serve_prints_is_shown_as_it_is(data_folder: Path):
    """The lines about a Teachable Machine file are those of the program."""
    model = data_folder / "models/teachable-machine/keras_model.h5"
    run = CliRunner().invoke(build_app("inspect"), ["inspect", str(model)])
    shown = re.search(r"```\n(keras_model: .*?)ready:", README, re.DOTALL)[1]
    assert shown in run.stdout


def test_its_footprint_is_the_one_measured():
    """Whoever measures anew writes the new figures here too."""
    ours, theirs = json.loads((ROOT / "bench/results/footprint.json").read_text())["rows"]
    told = re.search(
        r"ready ([\d.]+) s after the command, in (\d+) MiB, installed in (\d+) MiB; .*? takes "
        r"([\d.]+) s, (\d+) MiB and (\d+) MiB",
        README,
    )
    assert (
        f"{ours['ready_seconds']:.2f}",
        f"{ours['resident_mib']:.0f}",
        f"{ours['installed_mib']:.0f}",
        f"{theirs['ready_seconds']:.1f}",
        f"{theirs['resident_mib']:.0f}",
        f"{theirs['installed_mib']:.0f}",
    ) == told.groups()
