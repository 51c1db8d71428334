"""Several real processes at one address: real sockets, real signals, real ends."""

from __future__ import annotations

import functools
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

import tintype

TINTYPE = str(Path(sys.executable).parent / "tintype")
COLOURS = Path(tintype.__file__).parent / "demo/models/colours"
PATIENCE = 30


def jpeg(width: int, height: int) -> bytes:
    """Noise."""
    noise = np.random.default_rng(1).integers(0, 255, (500, 750, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).save(file, "JPEG", quality=60)
    return file.getvalue()


@pytest.fixture(scope="module")
def small() -> bytes:
    return jpeg(64, 48)


@pytest.fixture(scope="module")
def slow() -> bytes:
    """13 megapixels: some tenths of a second to decode."""
    return jpeg(4500, 3000)


@dataclass
class Family:
    """The program with two processes: what it said, line by line, and who they are."""

    program: subprocess.Popen
    said: list[str] = field(default_factory=list)
    more: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False

    def listen(self, lines: Iterator[str]) -> None:
        """Keep what it says until it has gone."""
        with suppress(OSError):  # how a terminal says so
            for line in lines:
                with self.more:
                    self.said.append(line)
                    self.more.notify_all()
        with self.more:
            self.over = True
            self.more.notify_all()

    def wait_for(self, pattern: str, times: int = 1) -> list[str]:
        """The first lines that match, once there are so many."""

        def found() -> list[str]:
            return [line for line in self.said if re.search(pattern, line)]

        with self.more:
            self.more.wait_for(lambda: self.over or len(found()) >= times, PATIENCE)
            assert len(found()) >= times, f"no {pattern} in:\n" + "".join(self.said)
            return found()

    def events(self, event: str, times: int = 1) -> list[dict]:
        """Lines of the log with this event, once there are so many."""
        return [json.loads(line) for line in self.wait_for(f'"event":"{event}"', times)[:times]]

    @functools.cached_property
    def address(self) -> str:
        """Where it listens."""
        return re.match(r"ready: (http://\S+)", self.wait_for("^ready: ")[0])[1]

    @property
    def port(self) -> int:
        """The same, the port alone."""
        return int(self.address.rpartition(":")[2])

    def children(self) -> list[psutil.Process]:
        """Those that serve, the oldest first."""
        made = psutil.Process(self.program.pid).children()
        return sorted(made, key=lambda child: child.create_time())

    def child_of(self, connection: socket.socket) -> psutil.Process:
        """Who has taken the connection, once somebody has."""
        mine = connection.getsockname()[1]
        for _ in range(10_000):
            for child in self.children():
                with suppress(psutil.Error):
                    held = child.net_connections("tcp")
                    if any(each.raddr and each.raddr.port == mine for each in held):
                        return child
        raise AssertionError("nobody took the connection")

    def leaves(self) -> int:
        """Its exit status."""
        return self.program.wait(PATIENCE)


@contextmanager
def family(*words: object, stderr: int | None = None, **variables: str) -> Iterator[Family]:
    """Two processes that serve colours, ready; whatever is left of them is killed."""
    program = subprocess.Popen(
        [TINTYPE, "serve", *map(str, words or (COLOURS,)), "--port", "0", "--processes", "2"],
        env={**os.environ, **variables},
        stderr=subprocess.PIPE if stderr is None else stderr,
        stdin=stderr,
        text=True,
        start_new_session=stderr is not None,
    )
    with program:
        started = Family(program)
        lines = program.stderr
        if lines is not None:
            threading.Thread(target=started.listen, args=(lines,), daemon=True).start()
        made: list[psutil.Process] = []
        try:
            if lines is not None:
                started.wait_for("^ready: |^error: ")
                made = started.children() if program.poll() is None else []
            yield started
        finally:
            if program.poll() is None:
                with suppress(psutil.Error):
                    made += started.children()
                program.terminate()
                with suppress(subprocess.TimeoutExpired):
                    started.leaves()
                program.kill()
            for child in made:
                with suppress(psutil.Error):
                    child.kill()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short path, as those have in which sockets may lie."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def lasting() -> Iterator[Family]:
    """One for all tests that leave it as it was."""
    with family() as started:
        yield started


@pytest.fixture
def served(lasting: Family) -> Family:
    """The same, with what it says from now on."""
    assert 2 == len(lasting.children())
    assert lasting.address
    with lasting.more:
        lasting.said.clear()
    return lasting


def ask(family: Family, picture: bytes) -> int:
    """The status of one answer, on a connection of its own."""
    return httpx.post(f"{family.address}/api/predict", content=picture, timeout=60).status_code


@contextmanager
def asked(family: Family, picture: bytes) -> Iterator[list[Future[httpx.Response]]]:
    """Eight questions to both processes, of which one is answered and the others are at work."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(8))
        clients = [
            stack.enter_context(httpx.Client(base_url=family.address, timeout=60)) for _ in range(8)
        ]
        for client in clients:
            client.get("/live")
        answers = [threads.submit(each.post, "/api/predict", content=picture) for each in clients]
        wait(answers, PATIENCE, FIRST_COMPLETED)
        yield answers


def statuses(answers: list[Future[httpx.Response]]) -> list[int]:
    """Of all, once all are there."""
    return [answer.result(PATIENCE).status_code for answer in answers]


def gone(processes: list[psutil.Process]) -> bool:
    """Whether they end soon."""
    return not psutil.wait_procs(processes, PATIENCE)[1]


def test_two_processes_answer_and_leave_nothing_behind(temporary, small):
    """One summary, one address; each line tells who wrote it; both have connections."""
    with family(COLOURS, TMPDIR=str(temporary), TINTYPE_MEMORY_PICTURES_MIB="100") as served:
        assert 1 == len(list(temporary.glob("tintype-*")))
        assert [0o700] == [path.stat().st_mode & 0o777 for path in temporary.glob("tintype-*")]
        children = served.children()
        assert 1 == psutil.Process(served.program.pid).num_threads()
        clients = [httpx.Client(base_url=served.address, timeout=60) for _ in range(8)]
        for client in clients:
            assert 200 == client.post("/api/predict", content=small).status_code
        asked = served.events("request", 8)
        for client in clients:
            client.close()
        served.program.terminate()
        assert 0 == served.leaves()
        assert gone(children)
    assert {0, 1} == {line["process"] for line in asked}
    assert 1 == sum(line.startswith("ready: ") for line in served.said)
    assert 1 == sum(line.startswith("colours: ") for line in served.said)
    assert 1 == sum("more than 5 megapixels is refused" in line for line in served.said)
    assert [] == list(temporary.iterdir())


def test_one_that_is_killed_under_load_is_replaced_and_harms_no_other(served, small):
    """Only what it had accepted fails: at most one request of each of its connections."""
    stop, failures = threading.Event(), []
    victim = served.children()[1]
    held = threading.Barrier(9)

    def load(number: int) -> int:
        answered = 0
        with httpx.Client(base_url=served.address, timeout=60) as client:
            client.get("/live")
            held.wait(PATIENCE)
            while not stop.is_set():
                try:
                    assert 200 == client.post("/api/predict", content=small).status_code
                    answered += 1
                except httpx.TransportError:
                    failures.append(number)
        return answered

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(load, number) for number in range(8)]
        held.wait(PATIENCE)
        mine = sum(each.status == "ESTABLISHED" for each in victim.net_connections("tcp"))
        victim.kill()
        ended = served.events("process ended")[0]
        ready = served.events("process ready")[0]
        stop.set()
        counts = [answer.result() for answer in answers]
    assert 0 < mine < 8
    assert len(set(failures)) == len(failures) <= mine
    assert min(counts) > 0
    assert (1, "SIGKILL", "error") == (ended["process"], ended["signal"], ended["level"])
    assert (1, "info") == (ready["process"], ready["level"])
    assert victim.pid not in {child.pid for child in served.children()}
    assert 2 == len(served.children())


def test_every_process_speaks_for_all(served, small):
    """What one answered is judged through the other, and either tells the metrics of both."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(httpx.Client(base_url=served.address, timeout=60)) for _ in range(4)
        ]
        told = [each.post("/api/predict", content=small).json()["id"] for each in clients]
        judged = [
            clients[-1 - number].put(f"/api/predictions/{name}/feedback", json={"correct": True})
            for number, name in enumerate(told)
        ]
        pages = [client.get("/metrics").text for client in clients]
    assert [200] * 4 == [answer.status_code for answer in judged]
    assert [{"0", "1"}] * 4 == [set(re.findall(r'process="(\d)"', page)) for page in pages]


def test_who_comes_while_nobody_is_there_waits(served, small):
    """The address is kept by the process that makes the others."""
    port = served.port
    for child in served.children():
        child.kill()
    served.events("process ended", 2)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as waiting:
        head = f"POST /api/predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(small)}\r\n\r\n"
        waiting.sendall(head.encode() + small)
        assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
    assert {0, 1} == {each["process"] for each in served.events("process ready", 2)}


def test_one_that_stands_still_takes_no_connections(served, small):
    """It has fewer than the other; that takes them all the same."""
    still = served.children()[0]
    still.suspend()
    try:
        assert [200] * 6 == [ask(served, small) for _ in range(6)]
    finally:
        still.resume()


def test_sigterm_to_every_process_has_each_finish_what_it_accepted(slow):
    """As systemd sends it: each hears it twice."""
    with family() as served:
        children = served.children()
        with asked(served, slow) as answers:
            for process in [*children, served.program]:
                process.send_signal(signal.SIGTERM)
            assert [200] * 8 == statuses(answers)
        assert 0 == served.leaves()
        assert gone(children)


def test_one_alone_that_is_told_to_leave_is_replaced(served, small):
    """It finishes, and a fresh one comes at once: how to renew them one after the other."""
    served.children()[0].terminate()
    assert 0 == served.events("process left")[0]["process"]
    assert 0 == served.events("process ready")[0]["process"]
    assert 200 == ask(served, small)


def test_without_the_first_process_the_others_leave(temporary, slow):
    """Killed, it tells nobody anything. They finish, free the address, and clean up."""
    with family(COLOURS, TMPDIR=str(temporary)) as served:
        children, port = served.children(), served.port
        with asked(served, slow) as answers:
            served.program.kill()
            assert [200] * 8 == statuses(answers)
        assert gone(children)
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
    assert [] == list(temporary.iterdir())


def test_a_model_that_cannot_be_served_ends_the_start_once(tmp_path, temporary):
    """The words and the status of one process alone, and nothing is left."""
    (tmp_path / "broken.h5").write_bytes(b"no model")
    with family(tmp_path / "broken.h5", TMPDIR=str(temporary)) as served:
        assert 1 == served.leaves()
    alone = subprocess.run(
        [TINTYPE, "serve", tmp_path / "broken.h5", "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (alone.returncode, alone.stderr.splitlines()) == (
        1,
        [line.rstrip("\n") for line in served.said],
    )
    assert [] == list((temporary).iterdir())


def test_one_that_cannot_start_again_does_not_end_the_others(tmp_path, small):
    """It is tried again and again, later each time; when the file is whole again it serves."""
    model = tmp_path / "colours"
    model.mkdir()
    for file in COLOURS.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    whole = next(model.glob("*.keras"))
    with family(model, TINTYPE_MODELS_POLL_SECONDS="0") as served:
        kept = whole.read_bytes()
        whole.write_bytes(b"no model")
        served.children()[1].kill()
        killed, first, second = served.events("process ended", 3)
        assert 200 == ask(served, small)
        whole.write_bytes(kept)
        assert 1 == served.events("process ready")[0]["process"]
        served.program.terminate()
        assert 0 == served.leaves()
    assert "SIGKILL" == killed["signal"]
    assert "model.keras looks like a text file" in first["error"]
    assert [0.0, 1.0, 2.0] == [ended["again_in_seconds"] for ended in (killed, first, second)]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the side of the person, and that of the program."""
    person, program = pty.openpty()
    yield person, program
    os.close(person)


def in_terminal(terminal: tuple[int, int], act: Callable[[Family], None]) -> int:
    """The exit status of a family in a terminal, in which ``act`` is done."""
    person, program = terminal
    words = [TINTYPE, "serve", str(COLOURS), "--port", "0", "--processes", "2"]
    own = "import os, sys, fcntl, termios; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0); "
    with subprocess.Popen(
        [sys.executable, "-c", own + "os.execv(sys.argv[1], sys.argv[1:])", *words],
        stdin=program,
        stdout=program,
        stderr=program,
    ) as started:
        os.close(program)  # the last one who has it open is the program
        served = Family(started)
        reading = threading.Thread(target=served.listen, args=(lines_of(person),), daemon=True)
        reading.start()
        children: list[psutil.Process] = []
        try:
            served.wait_for("^ready: ")
            children = served.children()
            act(served)
            status = served.leaves()
            assert gone(children)
        finally:
            for process in (started, *children):
                with suppress(psutil.Error):
                    process.kill()
    reading.join(PATIENCE)
    assert "Traceback" not in "".join(served.said)
    return status


def lines_of(terminal: int) -> Iterator[str]:
    """What is written to a terminal, until nobody has it open any more."""
    rest = b""
    with suppress(OSError):
        while told := os.read(terminal, 1 << 16):
            *whole, rest = (rest + told).split(b"\n")
            yield from (line.decode() for line in whole)


def test_ctrl_c_on_a_terminal_is_one_order_to_each(terminal, slow):
    """What was accepted is finished: a process that heard it twice would not wait."""

    def act(served: Family) -> None:
        with asked(served, slow) as answers:
            os.write(terminal[0], b"\x03")
            assert [200] * 8 == statuses(answers)

    assert 0 == in_terminal(terminal, act)


def until_refused(port: int) -> None:
    """Wait until nobody listens there any more: whoever did has begun to leave."""
    until = time.monotonic() + PATIENCE
    with suppress(OSError):
        while time.monotonic() < until:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()


def test_ctrl_c_again_leaves_in_silence(terminal):
    """In the middle of an upload, twice: nothing is said that frightens."""

    def act(served: Family) -> None:
        with socket.create_connection(("127.0.0.1", served.port)) as upload:
            upload.sendall(b"POST /api/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1")
            served.child_of(upload)
            os.write(terminal[0], b"\x03")
            until_refused(served.port)
            os.write(terminal[0], b"\x03")

    assert in_terminal(terminal, act) in {0, 130}


def test_more_processes_than_cores_are_refused():
    """They would only wait for each other, each with a copy of every model."""
    cores = len(os.sched_getaffinity(0))
    done = subprocess.run(
        [TINTYPE, "serve", COLOURS, "--processes", str(cores + 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == done.returncode
    assert f"error: {cores + 1} processes for {cores} core" in done.stderr
    assert f"--processes {cores}" in done.stderr


def test_a_taken_port_is_told(served):
    """At once, as by one process; sockets are not shared with strangers."""
    done = subprocess.run(
        [TINTYPE, "serve", COLOURS, "--processes", "2", "--port", str(served.port)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == done.returncode
    assert f"cannot listen on 127.0.0.1 port {served.port}" in done.stderr


def test_ray_makes_its_processes_itself():
    """The two do not go together."""
    done = subprocess.run(
        [TINTYPE, "serve", COLOURS, "--processes", "2", "--on", "ray"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, True) == (done.returncode, "replicas: cluster.replicas_max" in done.stderr)


def test_what_every_process_acknowledged_is_in_the_record(tmp_path, small):
    """Several writers of one SQLite file, which all of them may have made first."""
    with family(COLOURS, "--state", tmp_path) as served:

        def ask_some(_: int) -> list[str]:
            with httpx.Client(base_url=served.address, timeout=60) as client:
                answers = [client.post("/api/predict", content=small) for _ in range(50)]
            return [answer.json()["id"] for answer in answers]

        with ThreadPoolExecutor(8) as threads:
            told = {name for names in threads.map(ask_some, range(8)) for name in names}
        served.program.terminate()
        assert 0 == served.leaves()
    import sqlite3

    with sqlite3.connect(tmp_path / "record.db") as record:
        kept = {name for (name,) in record.execute("select id from predictions")}
    record.close()
    assert 400 == len(told)
    assert set() == told - kept
