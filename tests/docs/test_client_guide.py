"""The client's examples run as they are written, against a real server and without one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tintype.client.policy import ClientPolicy

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guides/client.md").read_text()
README = (ROOT / "README.md").read_text()
DOG = ROOT / "src/tintype/demo/pictures/dog.jpg"
ADDRESS = "http://127.0.0.1:8000"


def blocks(text: str) -> list[str]:
    """The Python blocks that use the client."""
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [block for block in found if "tintype.client" in block]


def run(block: str, address: str, folder: Path) -> str:
    """What the block prints, run as a program of its own beside ``dog.jpg``."""
    assert ADDRESS in block
    code = block.replace(ADDRESS, address).replace("seconds=1.5", "seconds=20")
    (folder / "dog.jpg").write_bytes(DOG.read_bytes())
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def server(serving) -> Iterator[str]:
    """The demo, as the README starts it."""
    with serving("demo") as running:
        yield running.address


def test_the_readme_asks_a_server(server, tmp_path):
    """The bundled model knows the dog."""
    (block,) = blocks(README)
    assert "dog\n" == run(block, server, tmp_path)


def test_the_readme_goes_on_without_a_server(tmp_path):
    """Its default is printed, and nothing fails."""
    (block,) = blocks(README)
    assert "animal\n" == run(block, "http://127.0.0.1:1", tmp_path)


def test_the_guide_asks_a_server(server, tmp_path):
    """Both clients."""
    first, second, _ = blocks(GUIDE)
    assert re.fullmatch(r"dog 0\.99\d*\n", run(first, server, tmp_path))
    shown = run(second, server, tmp_path).splitlines()
    assert ["red", "black None"] == shown[:2]  # at the collar, and in the middle
    assert shown[2].startswith("grey ResultError(type='unsupported-image-format'")


def test_the_guide_says_what_became_of_it(server, tmp_path):
    """The feedback is committed; without a server nothing is said and nothing fails."""
    third = blocks(GUIDE)[2]
    assert "kept\n" == run(third, server, tmp_path)
    assert "" == run(third, "http://127.0.0.1:1", tmp_path)


def test_the_guide_goes_on_without_a_server(tmp_path):
    """With the reason."""
    shown = run(blocks(GUIDE)[0], "http://127.0.0.1:1", tmp_path).splitlines()
    assert "animal 0.0" == shown[0]
    assert shown[1].startswith("the default, because of unreachable")


def test_the_guides_numbers_are_the_policys():
    """Two seconds, five calls, five seconds."""
    policy = ClientPolicy()
    assert f"The default is {policy.seconds:g} seconds" in GUIDE
    assert f"After {policy.rest_after} calls in a row" in GUIDE
    assert f"for {policy.rest_seconds:g} seconds; then one call tries again" in GUIDE
