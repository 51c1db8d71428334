"""The example of the gateway, started by its own command, with the stand-in behind it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples/tensorflow-serving-gateway"
PAGE = (FOLDER / "README.md").read_text()


@pytest.fixture
def address(serving, running_stand_in) -> Iterator[str]:
    """Where the example listens; its remote's address stands in the old gateway's variables."""
    (command,) = re.findall(r"^tintype serve .*$", PAGE, re.MULTILINE)
    remote = {"APP_TFSERVING_HOST": "127.0.0.1", "APP_TFSERVING_PORT": str(running_stand_in.grpc)}
    with serving(*shlex.split(command)[1:], folder=FOLDER, **remote) as server:
        yield server.address.removeprefix("http://")


def commands() -> list[tuple[str, str | None]]:
    """Each request of the page, and the JSON shown below it."""
    block = r"^```\n(curl .*?)^```(?:\n```json\n(.*?)^```)?$"
    return [(a, b or None) for a, b in re.findall(block, PAGE, re.DOTALL | re.MULTILINE)]


def run(command: str, address: str) -> dict:
    changed = command.replace("127.0.0.1:5000", address)
    done = subprocess.run(
        ["bash", "-c", changed], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_the_gateway_s_request_reaches_the_remote(address):
    """The old request, word for word but the host, answered with the fields that are shown."""
    (old, shown), (new, _) = commands()
    told, expected = run(old, address), json.loads(shown)
    assert expected.keys() == told.keys()
    assert rounded(expected["detections"]) == rounded(told["detections"])
    assert 0 < told["tfserve_time"] <= told["controller_time"]
    (result,) = run(new, address)["results"]
    assert ["red", "green"] == [box["label"] for box in result["boxes"]]


def rounded(value: object) -> object:
    """Numbers to two places."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 2) if isinstance(value, float) else value


def test_the_example_is_in_the_list():
    """With the command that starts it."""
    text = (FOLDER.parent / "README.md").read_text()
    (command,) = re.findall(r"^tintype serve .*$", PAGE, re.MULTILINE)
    assert f"| [{FOLDER.name}]({FOLDER.name}/README.md) |" in text
    assert f"| `{command}` |" in text
