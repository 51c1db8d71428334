"""A card of a remote model on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TINTYPE = str(Path(sys.executable).parent / "tintype")


def run(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TINTYPE, *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


def test_inspect_tells_what_the_remote_says(stand_in, write_card):
    """Where it is, what it takes and answers with, and that nobody looked at its code."""
    address = stand_in.address("grpc")
    done = run("inspect", write_card("things", address))
    assert 0 == done.returncode, done.stderr
    for words in (
        "things: tf-serving, on tfserving",
        f"asks    'things' at {address}",
        "image_tensor: any x any RGB, uint8",
        "boxes with labels",
        "not looked at: another server runs the model",
        "the signature is 'serving_default'",
    ):
        assert words in done.stdout


def test_inspect_json_is_one_object(stand_in, write_card):
    """For programs."""
    told = json.loads(run("inspect", write_card("raw", stand_in.address("http")), "--json").stdout)
    assert ("tf-serving", "tfserving", "logits") == (
        told["format"],
        told["engine"],
        told["output"]["activation"],
    )


def test_predict_asks_the_remote(stand_in, write_card, tmp_path, picture):
    """As it would ask a file."""
    (tmp_path / "red.png").write_bytes(picture())
    card = write_card("encoded", stand_in.address("grpc"))
    done = run("predict", card, tmp_path / "red.png", "--top", "1")
    assert 0 == done.returncode, done.stderr
    assert done.stdout.rstrip().endswith("red")


def test_a_remote_that_is_down_is_one_clear_line(write_card):
    """Exit code 1, the card's name, no traceback."""
    done = run("inspect", write_card("pets", "http://127.0.0.1:9"))
    assert 1 == done.returncode
    assert "pets/model.toml: no connection to the TensorFlow Serving behind 'pets'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_remote_cannot_be_written_as_onnx(stand_in, write_card, tmp_path):
    """There is no graph here."""
    done = run("convert", write_card("raw", stand_in.address("grpc")), tmp_path / "raw.onnx")
    assert 1 == done.returncode
    assert "tf-serving" in done.stderr


def test_grpc_is_imported_for_nobody_else():
    """A server of files starts without it, and without HTTP's client."""
    late = ("grpc", "tintype.engines.tfserving.rest_client")
    code = f"import sys, tintype.wiring.running; print([n for n in {late} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "[]\n" == done.stdout
