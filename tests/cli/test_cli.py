"""The command line as a person meets it: the real program, its words and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import tintype
from tintype import __version__

TINTYPE = str(Path(sys.executable).parent / "tintype")
DEMO = Path(tintype.__file__).parent / "demo"
PETS = DEMO / "models/cats-dogs"
COLOURS = DEMO / "models/colours"


def run(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TINTYPE, *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "red.png"
    Image.new("RGB", (64, 48), (220, 20, 30)).save(path)
    return path


def test_version():
    """The version, on stdout."""
    assert f"tintype {__version__}\n" == run("--version").stdout


def test_wrong_usage_exits_with_two():
    """An unknown verb is wrong usage, and the nearest is named."""
    done = run("srve")
    assert 2 == done.returncode
    assert "serve" in done.stderr


def test_predict_prints_labels(red: Path):
    """Labels with scores on stdout, what was decided on stderr."""
    done = run("predict", COLOURS, red, "--top", "1")
    assert 0 == done.returncode
    assert re.search(r"\d\.\d{3}  red", done.stdout)
    assert "recipe" in done.stderr
    assert "recipe" not in done.stdout


def test_predict_json_is_one_object_a_picture(red: Path):
    """The shape of the API, plus the file."""
    done = run("predict", COLOURS, red, red, "--json", "--x", 10, "--y", 10)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [str(red)] * 2 == [answer["file"] for answer in answers]
    assert {"id", "image", "results", "seconds", "file"} == set(answers[0])
    assert {"x": 10.0, "y": 10.0} == answers[0]["results"][0]["point"]


def test_a_bad_picture_stops_no_other(red: Path, tmp_path: Path):
    """The good one is answered, the bad one told, and the exit code is 1."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    done = run("predict", COLOURS, bad, red, "--top", "1")
    assert 1 == done.returncode
    assert "red" in done.stdout
    assert f"error: {bad}: " in done.stderr


def test_a_model_that_cannot_be_served_tells_its_fallback(red: Path, tmp_path: Path):
    """The folder's other model answers; what is told in the place of the broken one is said so."""
    shutil.copytree(COLOURS, tmp_path / "colours")
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes/half.keras").write_bytes(b"PK")
    (tmp_path / "themes/model.toml").write_text('file = "half.keras"\nfallback = ["beach"]')
    words = run("predict", tmp_path, red)
    assert 0 == words.returncode
    assert "themes: told in its place: beach" in words.stdout
    results = json.loads(run("predict", tmp_path, red, "--json").stdout)["results"]
    assert [("colours", False), ("themes", True)] == [
        (result["model"], result["fallback"]) for result in results
    ]


def test_half_a_point_is_told(red: Path):
    """--x without --y is a mistake in words."""
    done = run("predict", COLOURS, red, "--x", "3")
    assert (1, "error: a point needs both --x and --y\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.h5", b"", "empty"),
        ("text.h5", b"hello", "text"),
        ("model.pkl", b"\x80\x04\x95\x00", "pickle"),
    ],
)
def test_what_is_no_model_is_told_without_a_traceback(tmp_path: Path, name, content, said):
    """One line error, exit code 1."""
    path = tmp_path / name
    path.write_bytes(content)
    done = run("inspect", path)
    assert 1 == done.returncode
    assert done.stderr.startswith("error: ")
    assert said in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_told(tmp_path: Path):
    """The path is named."""
    done = run("serve", tmp_path / "nosuch.h5")
    assert (1, f"error: there is no file or folder {tmp_path / 'nosuch.h5'}\n") == (
        done.returncode,
        done.stderr,
    )


def test_flags_for_one_model_are_refused_for_several():
    """--labels belongs to one model."""
    done = run("serve", DEMO / "models", "--recipe", "raw")
    assert 1 == done.returncode
    assert "--recipe belongs to one model, and 2 were found" in done.stderr


def test_an_unknown_preset_names_the_nearest(red: Path):
    """A slip of the finger is answered with the known name."""
    done = run("predict", COLOURS, red, "--recipe", "keras-load-igm")
    assert 1 == done.returncode
    assert "did you mean keras-load-img" in done.stderr


def test_inspect_tells_everything():
    """Format, input, labels, recipe with its reason, safety."""
    done = run("inspect", PETS)
    assert 0 == done.returncode
    for word in ("keras-zip", "input", "labels", "recipe", "engine", "safety"):
        assert word in done.stdout


def test_inspect_layers_prints_the_summary():
    """Every layer with its parameters, and the total."""
    assert re.search(r"total parameters: [\d,]+", run("inspect", PETS, "--layers").stdout)


def test_convert_writes_one_file_and_says_so(tmp_path: Path):
    """Nothing on stdout; a second time needs --force."""
    out = tmp_path / "colours.onnx"
    done = run("convert", COLOURS, out)
    assert (0, "") == (done.returncode, done.stdout)
    assert re.search(rf"written: {re.escape(str(out))} \(\d+\.\d MiB\)", done.stderr)
    refused = run("convert", COLOURS, out)
    assert (1, f"error: {out} is there already\nhint: write over it: --force\n") == (
        refused.returncode,
        refused.stderr,
    )
    assert 0 == run("convert", COLOURS, out, "--force").returncode
    assert "because the file carries this recipe" in run("inspect", out).stdout


def test_inspect_json_is_one_object():
    """The same for machines; operations only when asked for."""
    facts = json.loads(run("inspect", PETS, "--json").stdout)
    assert ("cats-dogs", "classify") == (facts["name"], facts["task"])
    assert "operations" not in facts
    assert json.loads(run("inspect", PETS, "--json", "--ops").stdout)["operations"]


def test_a_taken_port_is_told(serving):
    """The second server on a port says so and names the flag."""
    with serving("demo") as first:
        port = first.port
        second = run("demo", "--port", port)
    assert 1 == second.returncode
    assert f"cannot listen on 127.0.0.1 port {port}" in second.stderr
    assert "--port" in second.stderr


def test_sigterm_ends_with_zero(serving):
    """The server leaves by its own door."""
    with serving("demo") as server:
        server.process.terminate()
        assert 0 == server.process.wait(timeout=20)


def test_serving_a_keras_file_imports_no_tensorflow():
    """Neither TensorFlow nor Keras is imported by the server's own code."""
    code = (
        "import sys, tintype.cli.serve; from pathlib import Path;"
        "from tintype.models.plan import plan_model; from tintype.models.library import find_cards;"
        f"plan_model(find_cards((Path({str(PETS)!r}),))[0]);"
        "print([m for m in ('tensorflow', 'keras', 'tf_keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_in_one_line(unbuffered: str):
    """No traceback, whatever stdout is, whenever Python writes to it."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [TINTYPE, "inspect", COLOURS],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (1, "error: [Errno 28] No space left on device\n") == (done.returncode, done.stderr)


def test_a_path_that_no_file_can_have_is_told_in_one_line():
    """The system's own words."""
    done = run("inspect", "a" * 5000)
    assert 1 == done.returncode
    assert done.stderr.startswith("error: [Errno 36] File name too long")
    assert "Traceback" not in done.stderr


def test_closed_standard_files_harm_nobody(tmp_path: Path):
    """Supervisors close them; the model's own file must not take their numbers."""
    done = subprocess.run(
        ["sh", "-c", '"$0" inspect "$1" --json >"$2" <&- 2>&-', TINTYPE, COLOURS, tmp_path / "out"],
        check=False,
    )
    assert 0 == done.returncode
    assert "colours" == json.loads((tmp_path / "out").read_text())["name"]


def test_a_device_without_an_end_is_too_large():
    """It tells no size, and is not read into memory whole."""
    done = run("predict", COLOURS, "/dev/zero")
    assert 1 == done.returncode
    assert "error: /dev/zero: the file has more than 26214400 bytes" in done.stderr


def test_settings_are_printed_with_their_sources(tmp_path: Path):
    """What holds, and where it was said; a password is covered in both forms."""
    file = tmp_path / "tintype.toml"
    file.write_text("[server]\nport = 9000\n")
    variables = {**os.environ, "TINTYPE_LIMITS_REDIS": "redis://:hush@h/0"}

    def settings(*words: str) -> str:
        command = [TINTYPE, "settings", "--config", file, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
        assert "hush" not in done.stdout + done.stderr
        return done.stdout

    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in settings().splitlines()}
    assert f"9000  ({file})" == lines["server.port"]
    assert '"127.0.0.1"  (default)' == lines["server.host"]
    assert '"redis://:***@h/0"  (TINTYPE_LIMITS_REDIS)' == lines["limits.redis"]
    facts = json.loads(settings("--json"))
    assert {"value": 9000, "from": str(file), "variable": "TINTYPE_SERVER_PORT"} == facts[
        "server.port"
    ]


def test_a_gpu_that_is_not_there_ends_the_start_in_words(red: Path):
    """The processor does not stand in for it."""
    done = run("predict", PETS, red, "--device", "cuda")
    assert 1 == done.returncode
    assert "on onnxruntime (cuda)" in done.stderr
    assert "error: the device cuda was asked for" in done.stderr
    assert 'engine.device = "cpu"' in done.stderr
    assert "" == done.stdout


def test_inspect_tells_the_device():
    """As the flag says it."""
    on_cpu, on_gpu = (
        json.loads(run("inspect", PETS, "--json", *words).stdout)
        for words in ((), ("--device", "cuda"))
    )
    assert ("cpu", "openvino") == (on_cpu["device"], on_cpu["engine"])
    assert ("cuda", "onnxruntime") == (on_gpu["device"], on_gpu["engine"])
