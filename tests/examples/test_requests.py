"""The examples answer the requests of their own pages, and those of the older systems.

Of the older systems' pages nothing is changed but the host, and the picture that is named.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("colours-and-themes", "dogs-and-cats", "frozen-graph", "keras-classifier")
"""The folders with a page in the usual form: one command that starts, requests with answers."""


def commands() -> list[tuple[str, str, str | None]]:
    """Folder, command, and the JSON shown below it, if there is one."""
    found = []
    for folder in FOLDERS:
        page = (ROOT / "examples" / folder / "README.md").read_text()
        block = r"^```\n(.*?)^```(?:\n```json\n(.*?)^```)?$"
        shown = re.findall(block, page, re.DOTALL | re.MULTILINE)
        found += [(folder, command.strip(), answer or None) for command, answer in shown]
    return [each for each in found if not each[1].startswith("tintype serve")]


def shape(value: object) -> object:
    """What stays the same from run to run: keys, words, and numbers to two places."""
    if isinstance(value, dict):
        changing = {"id", "seconds"}
        return {k: type(v) if k in changing else shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return round(value, 2) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("folder", "command", "shown"), commands(), ids=lambda each: str(each)[:60].split("\n")[0]
)
def test_a_command_answers_as_shown(start, examples, folder, command, shown):
    """With nothing changed but the host."""
    told = start(examples / folder).run(command)
    assert told.strip()
    assert "/problems/" not in told
    if shown is not None:
        assert shape(json.loads(shown)) == shape(json.loads(told))


def test_every_example_is_in_the_list():
    """With its own command for the start."""
    text = (ROOT / "examples/README.md").read_text()
    for folder in FOLDERS:
        page = (ROOT / "examples" / folder / "README.md").read_text()
        (start,) = re.findall(r"^(tintype serve .*)$", page, re.MULTILINE)
        assert f"| [{folder}]({folder}/README.md) |" in text
        assert f"| `{start}` |" in text


def test_the_tiny_graph_is_what_its_script_writes(tmp_path: Path):
    """Byte for byte: nobody put another file there."""
    folder = ROOT / "examples/frozen-graph"
    (tmp_path / "model").mkdir()
    script = tmp_path / "make_graph.py"
    script.write_bytes((folder / "make_graph.py").read_bytes())
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)
    assert (folder / "model/graph.pb").read_bytes() == (tmp_path / "model/graph.pb").read_bytes()


@pytest.mark.parametrize("name", ["file_name", "file_path"])
def test_flask_tensorflow(start, examples, pictures, name):
    """Its readme says file_name, its code read file_path; both hold a path on the server."""
    served = start(examples / "frozen-graph")
    told = json.loads(
        served.run(f"curl -s '127.0.0.1:5000/classification?{name}={pictures / 'dog.jpg'}'")
    )
    assert {"red", "green", "blue"} == set(told)
    assert pytest.approx(1) == sum(told.values())  # as it asserted itself
    assert "green" == max(told, key=told.get)


def test_dogs_and_cats(start, examples, pictures):
    """Its form: POST /file/ with the field file; the class is JSON in the heading."""
    served = start(examples / "dogs-and-cats")
    for picture, name in (("chelsea.jpg", "CAT"), ("dog.jpg", "DOG")):
        page = served.run(f"curl -s -F 'file=@{pictures / picture}' localhost:8080/file/")
        assert {"class": name} == json.loads(re.search(r"<h1>(.*)</h1>", page)[1])
    assert 'name="image"' in served.run("curl -s localhost:8080/")


def test_the_cherrypy_service(start, examples, pictures):
    """Its curl line: a picture, and a mark in percent; 201, and labels with their percentages."""
    served = start(examples / "colours-and-themes")
    line = (
        "curl localhost:9000/services/classify/builtinColors \\\n"
        f"-F 'imageFile=@{pictures / 'dog.jpg'}' \\\n"
        "-F x=10 -F y=50 -s -w ' %{http_code}'"
    )
    answer, _, status = served.run(line).rpartition(" ")
    told = json.loads(answer)
    assert ("201", 5) == (status, len(told))
    assert [{"label", "score"}] * 5 == [set(each) for each in told]
    assert all(re.fullmatch(r"\d+\.\d\d%", each["score"]) for each in told)
    picture = f"--data-binary @{pictures / 'dog.jpg'}"  # 640 x 480
    same = served.run(
        f"curl -s {picture} 'localhost:9000/api/predict?model=builtinColors&x=64&y=240'"
    )
    assert [each["label"] for each in json.loads(same)["results"][0]["labels"]] == [
        each["label"] for each in told
    ]


def test_the_cherrypy_service_by_path(start, examples, pictures):
    """ImagePath instead of imageFile, for callers whose pictures are on the server already."""
    served = start(examples / "colours-and-themes")
    mark = "-F x=10 -F y=50"
    service = "curl -s localhost:9000/services/classify/builtinColors"
    by_path = served.run(f"{service} -F imagePath={pictures / 'dog.jpg'} {mark}")
    sent = served.run(f"{service} -F 'imageFile=@{pictures / 'dog.jpg'}' {mark}")
    assert json.loads(sent) == json.loads(by_path)


def test_the_keras_classifier(start, examples, pictures):
    """GET the form, POST the picture, follow to /score/..., see picture and percentages."""
    served = start(examples / "keras-classifier")
    assert 'action="/classify"' in served.run("curl -s localhost:5000/classify")
    post = f"curl -s -F 'file=@{pictures / 'dog.jpg'}' localhost:5000/classify"
    status, address = served.run(
        f"{post} -o /dev/null -w '%{{http_code}} %header{{location}}'"
    ).split()
    assert "302" == status
    page = served.run(f"curl -s localhost:5000{address}")
    assert ["dog", "cat"] == re.findall(r'class="label">(\w+)<', page)
    assert 100 == pytest.approx(
        sum(float(each) for each in re.findall(r'class="score">([\d.]+) %', page)), abs=0.2
    )
    picture = re.search(r'<img src="(/score/\S+)"', page)[1]
    size = served.run(f"curl -s localhost:5000{picture} | wc -c")
    assert (pictures / "dog.jpg").stat().st_size == int(size)
