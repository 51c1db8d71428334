"""``tintype tune`` as a person meets it, on real pictures and real models."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tintype

TINTYPE = str(Path(sys.executable).parent / "tintype")
DEMO = Path(tintype.__file__).parent / "demo"


def run(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TINTYPE, *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO / "models/cats-dogs", tmp_path / "pets"))


def test_a_model_tuned_by_its_validation_pictures(pets: Path, data_folder: Path):
    """int8 is judged on 99 photos it was not calibrated on; the card has the evidence."""
    samples = data_folder / "cats-dogs/validation"
    done = run("tune", pets, "--samples", samples, "--seconds", 2, "--json")
    assert 0 == done.returncode, done.stderr
    told = json.loads(done.stdout)
    judged = told["judgements"]["int8"]
    assert (99, 99, 99) == (
        judged["agreement"]["judged"],
        judged["accuracy"]["judged"],
        told["calibrated"],
    )
    assert judged["agreement"]["right"] >= 90
    assert "calibrated 99 of 99" in done.stderr
    assert "judged 99 of 99" in done.stderr
    tuned = tomllib.loads((pets / "model.toml").read_text())["tuned"]
    assert told["kept"]["precision"] == tuned["precision"]
    assert {"date", "processor", "versions", "faster", "tried"} <= {*tuned["evidence"]}
    assert "tuned" in run("inspect", pets).stdout
    assert tuned["precision"] == json.loads(run("inspect", pets, "--json").stdout)["precision"]
    assert 0 == run("predict", pets, DEMO / "pictures/cat.jpg").returncode


def test_without_samples_only_threads_and_streams_are_measured(pets: Path):
    """And that is said; a trial writes nothing."""
    before = (pets / "model.toml").read_text()
    done = run("tune", pets, "--seconds", 0.5, "--dry-run")
    assert 0 == done.returncode, done.stderr
    assert "int8 is not used: without samples nothing but f32 is used" in done.stdout
    assert "kept" in done.stdout
    assert "nothing is written" in done.stderr
    assert before == (pets / "model.toml").read_text()


def test_a_quantised_file_keeps_its_numbers(data_folder: Path):
    """LiteRT runs it as it is, and the words say what f32 stands for."""
    model = data_folder / "models/imagenet-mobilenet-v2-quant/model.tflite"
    done = run("tune", model, "--seconds", 0.2, "--dry-run")
    assert 0 == done.returncode, done.stderr
    assert "what is called f32 here is the file as it is" in done.stderr
    assert "int8 is not used: the model runs on litert" in done.stdout


def test_flags_and_a_card_are_not_mixed(pets: Path):
    """The card is what is served."""
    done = run("tune", pets, "--recipe", "keras-load-img")
    assert (1, "") == (done.returncode, done.stdout)
    assert "write it into the card" in done.stderr


def test_flags_about_a_bare_file_go_into_its_new_card(pets: Path, tmp_path: Path):
    """So that it is served as it was tuned."""
    done = run(
        "tune",
        pets / "model.keras",
        "--out",
        tmp_path / "cards",
        "--recipe",
        "keras-load-img",
        "--seconds",
        0.5,
        "--aim",
        "latency",
        "--engine",
        "openvino",
    )
    assert 0 == done.returncode, done.stderr
    written = tmp_path / "cards/model.toml"
    if not written.exists():  # as it is was the fastest
        assert "nothing is written" in done.stderr
        return
    card = tomllib.loads(written.read_text())
    assert ("keras-load-img", "openvino") == (card["recipe"]["preset"], card["engine"])
    assert f"tintype serve {tmp_path / 'cards'}" in done.stderr


def test_a_folder_of_models_is_refused():
    """One at a time."""
    done = run("tune", DEMO / "models", "--dry-run")
    assert (1, True) == (done.returncode, "one is tuned at a time" in done.stderr)


def test_serving_never_imports_what_only_tuning_needs():
    """NNCF takes a second to import, and hundreds of megabytes."""
    code = (
        "import sys; from tintype.cli.app import build_app; build_app('serve', 'tune');"
        "sys.exit(sum(name in sys.modules for name in ('nncf', 'openvino', 'sklearn')))"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode
