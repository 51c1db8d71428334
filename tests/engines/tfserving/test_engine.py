"""The engine around a scripted client: what is asked, refused, and held against a remote."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from tintype.engines.engine import EngineOptions
from tintype.engines.tfserving.engine import TfServingEngine, load_tfserving, trouble_of
from tintype.errors import (
    DeadlineExceeded,
    EngineFailed,
    RemoteFailed,
    RemoteRefused,
    RemoteUnreachable,
    UnsupportedModel,
)
from tintype.types import Format, Graph, RemoteModel, TensorSpec
from tintype.wire.tensorflow_serving import VersionStatus

REMOTE = RemoteModel(address="grpc://127.0.0.1:1", name="pets", timeout_seconds=5.0, calls=3)
PICTURES = TensorSpec(name="x", shape=(None, 2, 2, 3))
SCORES = TensorSpec(name="scores", shape=(None, 3))


class Scripted:
    """A client that answers by a function, and remembers the timeouts it was given."""

    def __init__(self, answer: Callable[[np.ndarray], object]) -> None:
        self.answer = answer
        self.timeouts: list[float] = []
        self.batches: list[int] = []
        self.states: tuple[VersionStatus, ...] | Exception = ()
        self.closed = False

    def predict(self, batch, *, input_name, outputs, timeout):
        """What the function says; an error is raised."""
        assert ("x", ("scores",)) == (input_name, outputs)
        self.timeouts.append(timeout)
        self.batches.append(len(batch))
        told = self.answer(batch)
        if isinstance(told, Exception):
            raise told
        return told

    def status(self, *, timeout):
        """The states; an error is raised."""
        del timeout
        if isinstance(self.states, Exception):
            raise self.states
        return self.states

    def close(self) -> None:
        """Remembered."""
        self.closed = True


def well(batch: np.ndarray) -> dict[str, np.ndarray]:
    return {"scores": np.tile(np.array([0.5, 0.25, 0.25]), (len(batch), 1))}


@pytest.fixture
def make():
    engines = []

    def make(answer=well, *, batch: int | None = None):
        client = Scripted(answer)
        given = TensorSpec(name="x", shape=(batch, 2, 2, 3))
        engine = TfServingEngine(REMOTE, client, given=given, outputs=(SCORES,))
        engines.append(engine)
        return engine, client

    yield make
    for engine in engines:
        engine.close()


def rows(count: int = 1) -> np.ndarray:
    return np.zeros((count, 2, 2, 3), np.float32)


def test_answers_are_float32_a_row_a_picture(make):
    """Whatever the remote computes in."""
    (scores,) = make()[0].run(rows(2))
    assert (np.float32, (2, 3)) == (scores.dtype, scores.shape)


def test_it_says_how_many_calls_may_run_side_by_side(make):
    """The card's word, not the machine's cores."""
    engine, _ = make()
    assert (3, "tfserving", "remote", True) == (
        engine.streams,
        engine.name,
        engine.precision,
        engine.reachable,
    )


def test_a_fixed_batch_is_filled_up(make):
    """A signature of two pictures is asked twice for three."""
    engine, client = make(batch=2)
    assert (3, 3) == engine.run(rows(3))[0].shape
    assert [2, 2] == client.batches


def test_the_nearer_limit_is_the_timeout(make):
    """The deadline, or the card's longest."""
    engine, client = make()
    engine.run(rows())
    engine.run(rows(), deadline=time.monotonic() + 2)
    engine.run(rows(), deadline=time.monotonic() + 60)
    assert 5.0 == client.timeouts[0] == client.timeouts[2]
    assert 1 < client.timeouts[1] <= 2


def test_nothing_is_sent_after_the_deadline(make):
    """Nobody waits for it."""
    engine, client = make()
    with pytest.raises(DeadlineExceeded):
        engine.run(rows(), deadline=time.monotonic() - 1)
    assert [] == client.timeouts


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"other": np.zeros((1, 3))}, "is missing; it answered other"),
        ({"scores": np.zeros((1, 4))}, r"has shape \[1, 4\], expected \[1, 3\]"),
        ({"scores": np.zeros((2, 3))}, r"has shape \[2, 3\]"),
        ({"scores": np.array([[b"a", b"b", b"c"]])}, "holds texts"),
        ({"scores": np.zeros((1, 3), complex)}, "holds complex128"),
    ],
)
def test_an_answer_other_than_promised_is_refused(make, answer, words):
    """With what came and what was expected."""
    with pytest.raises(RemoteFailed, match=words):
        make(lambda _: answer)[0].run(rows())


def test_an_output_without_a_batch_axis_is_the_one_picture_s(make):
    """As of engines of our own."""
    assert (1, 3) == make(lambda _: {"scores": np.zeros(3)})[0].run(rows())[0].shape


def test_failures_in_a_row_are_not_tried_on(make):
    """The sixth call is not sent, and says what was the matter."""
    engine, client = make(lambda _: RemoteUnreachable("no connection"))
    for _ in range(5):
        with pytest.raises(RemoteUnreachable):
            engine.run(rows())
    with pytest.raises(RemoteUnreachable, match=r"asked again in .* the last time: no connection"):
        engine.run(rows())
    assert (5, False) == (len(client.timeouts), engine.reachable)


def test_refused_pictures_say_nothing_against_the_remote(make):
    """It lives, and answers."""
    engine, client = make(lambda _: RemoteRefused("bad picture"))
    for _ in range(8):
        with pytest.raises(RemoteRefused):
            engine.run(rows())
    assert (8, True) == (len(client.timeouts), engine.reachable)


def test_calls_that_were_given_no_time_say_nothing_against_the_remote(make):
    """A caller with a tenth of a second left cannot open the breaker."""
    engine, client = make(lambda _: DeadlineExceeded("too late"))
    for _ in range(8):
        with pytest.raises(DeadlineExceeded):
            engine.run(rows(), deadline=time.monotonic() + 0.1)
    assert (8, True) == (len(client.timeouts), engine.reachable)


def test_late_answers_count_as_failures(make):
    """A remote that hangs is left alone as well."""
    engine, _ = make(lambda _: DeadlineExceeded("too late"))
    for _ in range(5):
        with pytest.raises(DeadlineExceeded):
            engine.run(rows())
    assert not engine.reachable


def test_a_closed_engine_runs_nothing_and_ends_its_thread(make):
    """Calling it again does nothing."""
    engine, client = make()
    engine.run(rows())
    engine.close()
    engine.close()
    with pytest.raises(EngineFailed, match="closed"):
        engine.run(rows())
    assert client.closed
    assert [] == [each for each in threading.enumerate() if each.name == "tfserving-checks"]


def test_a_file_is_not_for_this_engine():
    """It asks a server, and reads nothing."""
    graph = Graph(format=Format.ONNX, source=b"", input=PICTURES, outputs=(SCORES,))
    with pytest.raises(UnsupportedModel):
        load_tfserving(graph, EngineOptions())


@pytest.mark.parametrize(
    ("states", "trouble"),
    [
        ((VersionStatus(version=2, state="AVAILABLE"),), ""),
        (
            (
                VersionStatus(version=2, state="LOADING"),
                VersionStatus(version=1, state="AVAILABLE"),
            ),
            "",
        ),
        (
            (VersionStatus(version=2, state="LOADING"),),
            "no version of the model is available there (version 2 is LOADING)",
        ),
        ((), "no version of the model is available there (none is known)"),
        (RemoteUnreachable("no connection"), "no connection"),
        (RemoteFailed("UNIMPLEMENTED"), ""),
    ],
)
def test_what_is_the_matter_with_a_remote(states, trouble):
    """Told by its status; a server that tells none is taken for well."""
    client = Scripted(well)
    client.states = states
    assert trouble == trouble_of(client, timeout=1.0)
