"""The older routes: names of fields and types as their clients know them."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path

import httpx
import pytest

from tintype.errors import EngineFailed
from tintype.imaging.strip import strip
from tintype.record.picture_place import PictureFolder
from tintype.record.pictures import PictureKeeper
from tintype.record.policy import PicturePolicy, RecordPolicy
from tintype.record.recorder import Recorder
from tintype.types import LabelScore, Result, ResultError, Task
from tintype.web.app import create_app
from tintype.web.compat.policy import CompatPolicy
from tintype.web.services import Services

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "compat.md"
ROUTES = re.findall(r"^\| `(GET|POST) (\S+)` \|", REFERENCE.read_text(), re.MULTILINE)


def methods_of(app) -> set[tuple[str, str]]:
    return {(method, route.path) for route in app.routes for method in route.methods - {"HEAD"}}


def test_every_older_route_is_in_the_reference(app, compat_app):
    """And each that is in the reference is there when it is switched on."""
    assert methods_of(compat_app) - methods_of(app) == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_they_are_off_by_default(client, method, path):
    """Nothing is served there."""
    assert 404 == (await client.request(method, path)).status_code


@pytest.mark.parametrize("name", ["file_path", "file_name"])
@pytest.mark.parametrize("absolute", [True, False])
async def test_classification_answers_every_label_with_its_score(
    compat, predictor, folder, png, name, absolute
):
    """``flask_tensorflow``: a path on the server, or a name below the allowed folder."""
    text = str(folder / "cat.png") if absolute else "cat.png"
    answer = await compat.get("/classification", params={name: text})
    assert {"dog": 0.98, "cat": 0.0195, "<b>bird</b>": 0.0005} == answer.json()
    (asked,) = predictor.asked
    assert (png, ("pets",), 3, 0.0) == (asked.image, asked.models, asked.top, asked.threshold)


@pytest.mark.parametrize(
    ("query", "status", "slug"),
    [
        ("", 400, "malformed-request"),
        ("?file_path=a&file_name=b", 400, "malformed-request"),
        ("?file_path=/etc/passwd", 403, "input-not-allowed"),
        ("?file_path=../secret.png", 403, "input-not-allowed"),
        ("?file_name=cat.png&model=nix", 404, "unknown-model"),
    ],
)
async def test_classification_refuses_in_words(compat, query, status, slug):
    """The same problems as everywhere."""
    answer = await compat.get(f"/classification{query}")
    assert (status, f"/problems/{slug}") == (answer.status_code, answer.json()["type"])


async def test_a_file_is_answered_with_a_page_that_holds_its_class(compat, png):
    """``dogs_and_cats``: the class as JSON in the heading, and the picture from memory."""
    answer = await compat.post("/file/", files={"file": ("a.png", png)})
    assert (200, "text/html; charset=utf-8") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    heading = re.search(r"<h1>(.*)</h1>", answer.text)[1]
    assert {"class": "dog"} == json.loads(heading)
    picture = await compat.get(re.search(r'<img src="(/score/\S+)"', answer.text)[1])
    assert png == picture.content


async def test_a_class_that_looks_like_a_tag_is_none(compat, predictor, png):
    """In the heading as anywhere."""
    labels = (LabelScore(index=0, label="</h1><script>", score=1.0),)
    predictor.result = Result(model="pets", version="1", task=Task.CLASSIFY, labels=labels)
    answer = await compat.post("/file/", files={"file": ("a.png", png)})
    assert "<script>" not in answer.text.partition("<main")[2]
    heading = re.search(r"<h1>(.*)</h1>", answer.text)[1]
    assert {"class": "</h1><script>"} == json.loads(heading)


async def test_classify_leads_to_a_page_with_picture_and_percentages(compat, png):
    """POST, redirect, GET; the page can be looked at again."""
    answer = await compat.post("/classify", files={"file": ("a.png", png)})
    assert 302 == answer.status_code
    address = answer.headers["location"]
    assert re.fullmatch(r"/score/[\w-]{22}", address)
    for _ in range(2):
        page = await compat.get(address)
        told = re.findall(r'class="score">(.*?)<', page.text)
        assert ["98.0 %", "1.9 %", "< 0.1 %"] == [html.unescape(score) for score in told]
    picture = await compat.get(f"{address}/picture")
    assert (png, "image/png", "no-store") == (
        picture.content,
        picture.headers["content-type"],
        picture.headers["cache-control"],
    )


@pytest.mark.parametrize("keeps", [True, False])
async def test_what_becomes_of_the_picture_is_told(predictor, limits, policy, png, tmp_path, keeps):
    """Gone after minutes only where nobody keeps it."""
    place = PictureFolder(tmp_path)
    record = Recorder(tmp_path / "record.db", state=tmp_path, policy=RecordPolicy())
    keeper = PictureKeeper(record, place=place, policy=PicturePolicy(keep=keeps), strip=strip)
    app = create_app(Services(predictor=predictor, pictures=keeper), limits=limits, compat=policy)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://tintype.test") as client:
        asked = await client.get("/classify")
        answer = await client.post("/file/", files={"file": ("a.png", png)})
    for page in (asked, answer):
        assert keeps == ("Pictures are kept to learn from" in page.text)
    gone = "This page and its picture are gone after 5 minutes."
    assert keeps == (gone not in answer.text)


async def test_the_address_of_a_page_is_not_in_the_log(compat, png, logs):
    """Whoever reads the log could look at the picture."""
    answer = await compat.post("/classify", files={"file": ("a.png", png)})
    address = answer.headers["location"]
    await compat.get(f"{address}/picture")
    assert ["/classify", "/score/{id}/picture"] == [line["path"] for line in logs]


async def test_classify_has_a_form(compat):
    """For people: the field is called file, and no script is needed."""
    text = (await compat.get("/classify")).text
    assert re.search(r'<form method="post" action="/classify" enctype="multipart/form-data">', text)
    assert 'name="file"' in text


@pytest.mark.parametrize("path", ["/file/", "/classify"])
@pytest.mark.parametrize(
    ("files", "status"),
    [({"file": ("a.png", b"no picture")}, 415), ({"other": ("a.png", b"x")}, 400)],
)
async def test_a_mistake_in_a_form_is_told_in_the_page(compat, path, files, status):
    """In words, with the form to try again."""
    answer = await compat.post(path, files=files)
    assert status == answer.status_code
    assert 'role="alert"' in answer.text
    assert f'action="{path}"' in answer.text


@pytest.mark.parametrize("path", ["/score/nix", "/score/nix/picture"])
async def test_an_id_that_was_never_given_leads_nowhere(compat, path):
    """Nor one whose time is over."""
    assert 404 == (await compat.get(path)).status_code


async def test_image_detection_answers_with_fractions(compat, predictor, png):
    """The gateway's fields and types; times are seconds."""
    body = {"model_name": "things", "threshold": 0.3, "image": base64.b64encode(png).decode()}
    answer = await compat.post("/imageDetection", json=body)
    told = answer.json()
    (detection,) = told.pop("detections")
    assert pytest.approx({"x1": 0.2, "y1": 0.1, "x2": 0.7, "y2": 0.9}) == detection.pop("hit_box")
    assert {"class_id": 1, "class_label": "dog", "score": 0.75} == detection
    assert 0.0023 == told.pop("tfserve_time")
    assert told.pop("controller_time") >= 0
    assert {} == told
    assert (("things",), 0.3) == (predictor.asked[0].models, predictor.asked[0].threshold)


async def test_image_detection_reads_json_whatever_its_content_type(compat, predictor, png):
    """What ``curl -d`` sends; without a threshold the gateway's own holds."""
    body = json.dumps({"model_name": "things", "image": base64.b64encode(png).decode()})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await compat.post("/imageDetection", content=body, headers=headers)
    assert 200 == answer.status_code
    assert 0.4 == predictor.asked[0].threshold


class TestSwapped:
    """A client that puts right what the gateway had the wrong way round."""

    @pytest.fixture
    def policy(self) -> CompatPolicy:
        """Switched on, and swapped."""
        return CompatPolicy(enabled=True, swapped_boxes=True)

    async def test_corners_are_told_the_gateway_s_way(self, compat, png):
        """``x1`` is the top edge."""
        body = {"model_name": "things", "image": base64.b64encode(png).decode()}
        (detection,) = (await compat.post("/imageDetection", json=body)).json()["detections"]
        assert pytest.approx({"x1": 0.1, "y1": 0.2, "x2": 0.9, "y2": 0.7}) == detection["hit_box"]


PICTURE = "iVBORw0KGgo="


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"image": PICTURE}, 400),
        ({"model_name": "things"}, 400),
        ({"model_name": "things", "image": 3}, 400),
        ({"model_name": "things", "image": "%%%"}, 400),
        ({"model_name": "things", "image": PICTURE, "threshold": "high"}, 400),
        ({"model_name": "things", "image": PICTURE, "threshold": True}, 400),
        ({"model_name": "things", "image": PICTURE, "threshold": 10**400}, 400),
        ({"model_name": "pets", "image": PICTURE}, 400),
        ({"model_name": "nix", "image": PICTURE}, 404),
        ([1], 400),
    ],
)
async def test_image_detection_refuses_in_words(compat, body, status):
    """Each missing or odd value by its name."""
    answer = await compat.post("/imageDetection", json=body)
    assert (status, "application/problem+json") == (
        answer.status_code,
        answer.headers["content-type"],
    )


async def test_a_detector_that_gives_no_boxes_is_a_failure(compat, predictor, png):
    """Fallback labels are no boxes: nobody takes them for some."""
    predictor.result = Result(
        model="things",
        version="1",
        task=Task.DETECT,
        labels=(LabelScore(index=-1, label="person", score=0.0),),
        error=ResultError(type="deadline-exceeded", detail="too late"),
        fallback=True,
    )
    body = {"model_name": "things", "image": base64.b64encode(png).decode()}
    answer = await compat.post("/imageDetection", json=body)
    assert (503, "the model 'things' gave no answer: too late") == (
        answer.status_code,
        answer.json()["detail"],
    )


async def test_the_service_answers_labels_in_percent(compat, predictor, png):
    """The CherryPy service: 201, strings, and a mark in percent of the sides."""
    form = {"x": "10", "y": "50"}
    answer = await compat.post("/services/classify/pets", data=form, files={"imageFile": png})
    assert (
        201,
        [
            {"label": "dog", "score": "98.00%"},
            {"label": "cat", "score": "1.95%"},
            {"label": "<b>bird</b>", "score": "0.05%"},
        ],
    ) == (answer.status_code, answer.json())
    assert [(6, 24)] == [(point.x, point.y) for point in predictor.asked[0].points]


async def test_the_service_takes_a_path_on_the_server(compat, predictor, png, folder):
    """``imagePath``, and no mark; the last pixel belongs to 100 percent."""
    path = {"imagePath": (None, str(folder / "cat.png"))}
    assert 201 == (await compat.post("/services/classify/pets", files=path)).status_code
    corner = path | {"x": (None, "100"), "y": (None, "100")}
    assert 201 == (await compat.post("/services/classify/pets", files=corner)).status_code
    whole, marked = predictor.asked
    assert (png, ()) == (whole.image, whole.points)
    assert [(63, 47)] == [(point.x, point.y) for point in marked.points]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"x": "1", "y": "2"}, "imageFile or imagePath"),
        ({"imagePath": "cat.png", "x": "1"}, "both x and y"),
        ({"imagePath": "cat.png", "x": "101", "y": "1"}, "expected percent"),
        ({"imagePath": "cat.png", "x": "nan", "y": "1"}, "expected percent"),
        ({"imagePath": "cat.png", "x": "left", "y": "1"}, "expected percent"),
    ],
)
async def test_the_service_refuses_in_words(compat, form, said):
    """What was expected, and what came."""
    parts = {name: (None, value) for name, value in form.items()}
    answer = await compat.post("/services/classify/pets", files=parts)
    assert 400 == answer.status_code
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("route", ["/services/classify/things", "/classify?model=things"])
async def test_a_detector_is_not_asked_for_labels(compat, predictor, png, route):
    """It never has any: that is the caller's mistake, and no failure to try again after."""
    answer = await compat.post(route, files={"imageFile": png, "file": png})
    assert 400 == answer.status_code
    assert "with boxes, not with labels" in answer.text.replace("&#39;", "'")
    assert [] == predictor.asked


async def test_a_failing_model_is_the_problem_it_is_everywhere(compat, predictor, png):
    """503 with its words."""
    predictor.failure = EngineFailed("broken on purpose")
    answer = await compat.post("/services/classify/pets", files={"imageFile": png})
    assert (503, "broken on purpose") == (answer.status_code, answer.json()["detail"])
