from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from tintype.models.info import Health, VersionInfo
from tintype.types import LabelScore, Point, Result, ResultError, Seconds, Task
from tintype.web.fake import fake_info
from tintype.web.options import Options
from tintype.web.page_view import curl_line, file_name
from tintype.web.render import flat, milliseconds, percent, size
from tintype.web.schemas import server_timing

FRAGMENT = {"X-Fragment": "answer"}


async def test_the_page_has_a_form_that_needs_no_script(client):
    """Picture, point, options: plain fields with the names of the API."""
    text = (await client.get("/")).text
    assert '<form id="ask"' in text
    names = set(re.findall(r'<input[^>]* name="(\w+)"', text))
    assert {"image", "model", "x", "y", "top", "threshold", "explain"} == names


async def test_the_form_is_answered_with_the_whole_page(client, png):
    """Scores, boxes, the picture, the line for the shell; what was chosen stays chosen."""
    form = {"x": "3", "y": "4", "top": "", "threshold": "", "model": "", "explain": "input"}
    answer = await client.post("/", data=form, files={"image": ("a b.png", png)})
    text = html.unescape(answer.text)
    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert "<!doctype html>" in text
    assert "98.0 %" in text
    assert 'src="data:image/png;base64,' in text
    assert "at 3, 4" in text
    assert 'value="3"' in text
    assert "curl --data-binary '@a b.png' 'http://tintype.test/api/predict?x=3&y=4'" in text
    assert "decode;dur=1.000" in answer.headers["server-timing"]


async def test_scripts_get_the_answers_part_alone(client, png):
    """The same rendering without the rest of the page, and without the picture it has already."""
    answer = await client.post("/", files={"image": png}, headers=FRAGMENT)
    assert "<!doctype" not in answer.text
    assert "98.0 %" in answer.text
    assert "data:image/png" not in answer.text
    assert "X-Fragment" == answer.headers["vary"]


async def test_labels_and_names_are_escaped(client, png):
    """A label or a file name is text, whatever it contains."""
    files = {"image": ("<img src=x onerror=alert(1)>.png", png)}
    text = (await client.post("/", files=files)).text
    assert "<b>bird</b>" not in text
    assert "&lt;b&gt;bird&lt;/b&gt;" in text
    assert "<img src=x" not in text


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
async def test_a_mistake_is_told_in_the_page_in_words(client, headers):
    """Title, detail and hint, with the status that the API would give."""
    answer = await client.post("/", files={"image": b"no picture"}, headers=headers)
    assert 415 == answer.status_code
    assert "Unsupported picture format" in answer.text
    assert 'role="alert"' in answer.text


async def test_the_form_without_a_picture_says_so(client):
    """Pressing the button too early is answered in words."""
    answer = await client.post("/", files={"image": ("", b"")}, data={"top": ""})
    assert 400 == answer.status_code
    assert "there is no picture in the request" in answer.text


async def test_a_sample_is_answered_by_a_plain_link(client, predictor, png):
    """Works without scripts, and can be passed on."""
    answer = await client.get("/?sample=red-dog.png&model=pets&explain=input")
    assert 200 == answer.status_code
    assert (png, ("pets",)) == (predictor.asked[0].image, predictor.asked[0].models)
    assert "98.0 %" in answer.text


@pytest.mark.parametrize("query", ["sample=nix.png", "sample=red-dog.png&top=x", "sample="])
async def test_a_wrong_link_is_told_in_words(client, query):
    """Unknown samples and bad options are problems in the page."""
    answer = await client.get(f"/?{query}")
    assert 400 == answer.status_code
    assert 'role="alert"' in answer.text


async def test_what_the_model_saw_names_a_guess_and_its_override(client, png):
    """The input as a picture, its ranges, the recipe, why, and the line that changes it."""
    text = (await client.post("/", files={"image": png}, data={"explain": "input"})).text
    for part in ("What the model saw", "guess", "the commonest case", "--recipe keras-load-img"):
        assert part in text
    assert "values.op" in text


def test_the_line_for_the_shell_has_every_option():
    """Names with spaces and quotes survive a POSIX shell."""
    options = Options(
        models=("a b",), points=(Point(x=1, y=2), Point(x=3.5, y=4)), top=3, threshold=0.25
    )
    assert (
        "curl --data-binary '@it'\"'\"'s.jpg' "
        "'http://h/api/predict?model=a%20b&points=1%2C2%3B3.5%2C4&top=3&threshold=0.25'"
    ) == curl_line("http://h", options, name="it's.jpg")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("dog.jpg", "dog.jpg"),
        ("C:\\pictures\\dog.jpg", "dog.jpg"),
        ("/etc/passwd", "passwd"),
        ("a\nb\x00.jpg", "ab.jpg"),
        ("-", "picture.jpg"),
        ("", "picture.jpg"),
        ("x" * 500 + ".jpg", "x" * 76 + ".jpg"),
    ],
)
def test_a_file_name_is_shown_short_and_plain(told, shown):
    """It is the client's word, so it is only ever shown."""
    assert shown == file_name(told)


@pytest.mark.parametrize(
    ("score", "words"),
    [(1, "100 %"), (0.9999, "99.9 %"), (0.98, "98.0 %"), (0.0004, "< 0.1 %"), (0, "0 %")],
)
def test_scores_are_never_rounded_to_certainty(score, words):
    """100 % and 0 % are said only where they are true."""
    assert words == percent(score)


def test_numbers_are_told_for_people():
    """Durations, sizes and nested settings."""
    assert ["0.4 ms", "2.3 ms", "104 ms"] == [milliseconds(s) for s in (0.0004, 0.0023, 0.104)]
    assert ["512 bytes", "60 KiB", "3.34 MiB"] == [size(n) for n in (512, 61_440, 3_500_000)]
    nested = {"a": {"b": 1.5, "c": [1, None], "e": None, "f": []}, "d": True}
    assert [("a.b", "1.5"), ("a.c", "1, none"), ("d", "yes")] == flat(nested)


def test_stages_are_told_in_milliseconds():
    """The header's unit is the millisecond."""
    assert "run;dur=1500.000" in server_timing(Seconds(run=1.5))


async def test_a_result_is_labelled_by_its_title_whatever_the_model_is_called(
    client, predictor, png
):
    """An id has no spaces: a name with one would point the screen reader at nothing."""
    predictor.infos = {"my pets": fake_info("my pets", task=Task.CLASSIFY)}
    text = (await client.post("/", files={"image": png})).text
    assert 'aria-labelledby="title-my_pets-0"' in text
    assert 'id="title-my_pets-0"' in text


async def test_versions_and_a_refused_change_are_told(client, predictor):
    """Which version answers how much, and why the last change was not taken."""
    versions = tuple(
        VersionInfo(version=v, alias=a, share=s, shadow=a == "canary", health=Health.READY)
        for v, a, s in (("1", "stable", 0.9), ("2", "canary", 0.1))
    )
    info = replace(predictor.infos["pets"], versions=versions, refused="2/m.h5 is <damaged>")
    predictor.infos = {"pets": info}
    text = (await client.get("/")).text
    assert "1 (stable, 90 % of the pictures), 2 (canary, 10 % of the pictures, shadow)" in text
    assert "the version before stays: 2/m.h5 is &lt;damaged&gt;" in text


async def test_a_fallback_is_told_as_one(client, predictor, png):
    """A model that is not even there: its error, and the labels without a bar."""
    predictor.result = Result(
        model="gone",
        version="2",
        task=Task.CLASSIFY,
        labels=(LabelScore(index=-1, label="<beach>", score=0.0),),
        error=ResultError(type="model-unavailable", detail="could not be loaded"),
        fallback=True,
    )
    text = (await client.post("/", files={"image": png}, data={"model": "pets"})).text
    card = text.partition('aria-labelledby="title-gone-0"')[2].partition("</article>")[0]
    assert "could not be loaded" in card
    assert "Told in its place, without a look at the picture: &lt;beach&gt;" in card
    assert 'class="meter"' not in card
