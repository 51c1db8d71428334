"""The models on a real Ray cluster of two nodes: right, and what a kill takes with it.

The tests stand in the order in which the cluster goes through them; each leaves it answering.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

import tintype
from tintype.models.library import find_cards
from tintype.predict import PredictRequest
from tintype.settings import read_settings
from tintype.types import Point
from tintype.web.schemas import prediction_body
from tintype.wiring.plans import make_plans
from tintype.wiring.running import running

DEMO = Path(tintype.__file__).parent / "demo"
PICTURES = ("cat.jpg", "chelsea.jpg", "colours.png", "dog.jpg")
ONE_MODEL, BOTH = "/api/predict?model=colours", "/api/predict?x=30&y=20&top=3"


def said(prediction):
    """What a prediction says of the picture, without ids and times."""
    results = [{**each, "seconds": 0} for each in prediction["results"]]
    return {"image": prediction["image"], "results": results}


@contextmanager
def frozen(processes: list[psutil.Process]):
    """Replicas that hear everything and do nothing."""
    for each in processes:
        each.suspend()
    try:
        yield
    finally:
        for each in processes:
            each.resume()


def in_background(calls):
    """Start calls side by side; what to call for their answers."""
    heard = [None] * len(calls)

    def run(number):
        heard[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()

    def join():
        for thread in threads:
            thread.join()
        return heard

    return join


def scaled_up(nodes, load):
    """Wait until two replicas have shared the load for a while; the newer is on the second node."""
    nodes.until(lambda: nodes.running("model-colours") >= 2)
    shared = len(load.heard) + 50
    nodes.until(lambda: len(load.heard) >= shared)


def assert_only_dead_ones_failed(load, *, most: int) -> None:
    """No wrong answer; failures are 503 with the words of ours, no more than were at work."""
    right = {json.dumps(said(each.told)) for each in load.heard if each.status == 200}
    assert 1 == len(right)
    failed = load.failed()
    assert {503} >= {each.status for each in failed}
    assert {"/problems/model-unavailable"} >= {each.told["type"] for each in failed}
    assert all("retry-after" in each.headers for each in failed)
    assert len(failed) <= most


async def test_answers_equal_those_of_a_single_process_bit_for_bit(nodes):
    """Every score of every model, for whole pictures and at a point."""
    settings = read_settings(environment={}, flags={"engine.threads": 1})
    plans = await make_plans(find_cards((DEMO / "models",)), left_out=pytest.fail)
    async with running(plans, settings=settings, left_out=pytest.fail) as services:
        for name in PICTURES:
            picture = (DEMO / "pictures" / name).read_bytes()
            request = PredictRequest(image=picture, points=(Point(x=30, y=20),), top=3)
            alone = prediction_body(await services.predictor.predict(request))
            expected = said(json.loads(msgspec.json.encode(alone)))
            assert expected == said(nodes.ask(picture, BOTH).told), name


def test_the_page_the_models_and_the_errors_are_those_of_serve(nodes):
    """The front is the same web application."""
    assert b"<!doctype html>" == nodes.get("/").body[:15]
    models = nodes.get("/api/models").told["models"]
    assert ["cats-dogs", "colours"] == [each["name"] for each in models]
    broken = nodes.ask(b"no picture", BOTH)
    assert (415, "/problems/unsupported-image-format") == (broken.status, broken.told["type"])
    half = nodes.ask((DEMO / "pictures/cat.jpg").read_bytes()[:20_000], BOTH)
    assert (422, "/problems/image-truncated") == (half.status, half.told["type"])
    assert 404 == nodes.ask(None, "/api/predict?model=none").status
    assert 1 == broken.times["x-request-id"]


def test_a_model_that_does_not_answer_is_a_504_when_the_time_is_over(nodes):
    """The deadline holds, whatever the replica does; the next one is answered."""
    with frozen(nodes.replicas("model-colours")):
        late = nodes.ask(None, ONE_MODEL)
    assert (504, "/problems/deadline-exceeded") == (late.status, late.told["type"])
    assert 4.0 <= late.until - late.at < 6.0
    assert 200 == nodes.ask(None, ONE_MODEL).status


def test_the_other_model_answers_meanwhile(nodes):
    """One that is late leaves an error in its own place."""
    with frozen(nodes.replicas("model-colours")):
        results = nodes.ask(None, BOTH).told["results"]
    assert [None, "deadline-exceeded"] == [
        each["error"] and each["error"]["type"] for each in results
    ]


def test_what_no_replica_can_take_is_refused_at_once_with_a_time_to_come_back(nodes):
    """Of 16 at once 4 are at work and 6 wait; the others are told so, long before the deadline."""
    with frozen(nodes.replicas("model-cats-dogs")):
        path = "/api/predict?model=cats-dogs"
        heard = in_background([lambda: nodes.ask(None, path)] * 16)()
    refused = [each for each in heard if each.status == 503]
    assert refused  # how many depends on who had come in when the first was refused
    for each in refused:
        assert "/problems/overloaded" == each.told["type"]
        assert "1" == each.headers["retry-after"]
        assert each.until - each.at < 3.0
    assert {503, 504} >= {each.status for each in heard}


def test_callers_that_hang_up_make_room(nodes):
    """What nobody waits for is cancelled: its places are free at once, though nothing moves."""
    picture = (DEMO / "pictures/cat.jpg").read_bytes()
    path = "/api/predict?model=cats-dogs"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n"
    with frozen(nodes.replicas("model-cats-dogs")):
        callers = [socket.create_connection(("127.0.0.1", nodes.port)) for _ in range(10)]
        for caller in callers:
            caller.sendall(head.encode() + picture)
        nodes.until(lambda: nodes.ask(None, path).status == 503, seconds=20)
        for caller in callers:
            caller.close()
        nodes.until(lambda: nodes.ask(None, path).status != 503, seconds=20)
    nodes.until(lambda: nodes.ask(None, path).status == 200)


def test_replicas_are_added_under_load_and_taken_away_after_it(nodes):
    """They go to the second node, where there is room."""
    with nodes.load(6) as load:
        scaled_up(nodes, load)
    assert [] == load.failed()
    assert 2 == len({each.parent() for each in nodes.replicas("model-")})
    nodes.until(lambda: nodes.running("model-colours") == 1)
    assert 200 == nodes.ask(None, ONE_MODEL).status


def test_a_front_that_is_killed_takes_what_it_held_and_no_more(nodes):
    """A 503 of ours from Ray's server for each, and another front takes its place."""
    (front,) = nodes.replicas("front")
    with nodes.load(6) as load:
        nodes.until(lambda: len(load.heard) >= 30)
        front.kill()
        nodes.until(load.failed)
        begun = len(load.heard)
        nodes.until(lambda: len(load.heard) > begun + 30)
    for each in load.failed():
        assert (503, "/problems/model-unavailable") == (each.status, each.told["type"])
        assert "1" == each.headers["retry-after"]
        assert 1 == each.times["x-request-id"]
    assert len(load.failed()) <= 6  # those who came later waited for the next front


def test_a_replica_that_is_killed_takes_what_it_held_and_no_more(nodes):
    """A 503 for each, and another replica takes its place."""
    with nodes.load(6) as load:
        scaled_up(nodes, load)
        nodes.replicas("model-colours")[1].send_signal(signal.SIGKILL)
        nodes.until(lambda: nodes.running("model-colours") >= 2)
    assert_only_dead_ones_failed(load, most=4)


def test_a_node_that_is_killed_takes_what_it_held_and_no_more(nodes):
    """The replica on the other node answers on."""
    with nodes.load(6) as load:
        scaled_up(nodes, load)
        nodes.kill_node()
        after = len(load.heard)
        nodes.until(lambda: len(load.heard) > after + 50)
    assert_only_dead_ones_failed(load, most=8)
    assert 200 == nodes.ask(None, BOTH).status
    assert {"ready"} == {*nodes.get("/ready").told["models"].values()}
    nodes.order("add")


def test_a_new_version_takes_over_without_a_failed_request(nodes):
    """Replicas drain: what they accepted is answered before they end, and the rest waits."""
    patient = '"requests.deadline_seconds": 60'
    nodes.order(f"deploy {{{patient}}}")
    before = {each.pid for each in nodes.replicas("model-colours")}
    with nodes.load(2) as load:
        nodes.order(f'deploy {{{patient}, "batching.max_batch": 4}}')
        nodes.until(lambda: not before & {each.pid for each in nodes.replicas("model-colours")})
    assert [] == load.failed()


def test_small_models_share_replicas_and_make_room_for_each_other(nodes):
    """Two at once of three that are asked in turn, and every answer is right."""
    expected = nodes.ask(None, ONE_MODEL).told["results"][0]["labels"]
    for name in ("colours-b", "colours-c"):
        shutil.copytree(nodes.models / "colours", nodes.models / name)
        card = nodes.models / name / "model.toml"
        card.write_text(card.read_text().replace('name = "colours"', f'name = "{name}"'))
    nodes.order('deploy {"cluster.models_per_replica": 2, "cluster.replicas_max": 1}')
    nodes.until(lambda: len(nodes.get("/api/models").told["models"]) == 4)
    for name in ("colours", "colours-b", "colours-c") * 2:
        heard = nodes.ask(None, f"/api/predict?model={name}")
        assert 200 == heard.status, heard.body
        (result,) = heard.told["results"]
        assert (name, expected) == (result["model"], result["labels"])
    assert 1 == len(nodes.replicas("models"))
    assert [] == nodes.replicas("model-colours")
