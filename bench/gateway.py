"""The gateway's share: a picture through Tintype against the same tensor sent to the remote itself.

python bench/gateway.py [--seconds 8] [--write]

A stand-in for TensorFlow Serving and the real program run in processes of their own. Calls to the
remote and to the gateway take turns, one at a time, on kept connections; medians. The direct call
sends a request that is made already, over gRPC, or over REST as JSON that is encoded already (the
picture as numbers is left out there). The overhead is what the gateway takes on top of it, less
decoding and preparing the picture (``Server-Timing``). A third call in each turn asks the bundled
colour model in the same server: what it takes, less decoding, preparing and running, is what any
request costs, and the rest of the overhead is the gateway's own. ``--write`` puts the table into
docs/reference/gateway.md and bench/results/gateway.json.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import grpc
import numpy as np
from PIL import Image

from tintype.wire.tensorflow_serving import PREDICT, ModelSpec, predict_request
from tintype.wire.tensors import tensor_parts

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs/reference/gateway.md", ROOT / "bench/results/gateway.json"
TABLE = re.compile(r"(?<=<!-- overhead -->\n).*?(?=<!-- /overhead -->)", re.DOTALL)
HEAD = (
    "| the remote takes | language | direct, ms | through Tintype, ms | decoded and prepared, ms "
    "| overhead, ms | of that any request, ms | of that the gateway, ms |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)
COLOURS = ROOT / "src/tintype/demo/models/colours"
WIDTH, HEIGHT = 640, 480

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """A model of the stand-in: its input and output, and what is sent to it directly."""

    model: str
    words: str
    input: str
    outputs: tuple[str, ...]
    batch: np.ndarray


@dataclass(frozen=True)
class Row:
    """Medians in milliseconds."""

    takes: str
    language: str
    direct: float
    gateway: float
    prepared: float
    overhead: float
    any_request: float
    own: float


def photo() -> bytes:
    """A JPEG with structure, 640 x 480."""
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(file.name)
        return Path(file.name).read_bytes()


def cases(picture: bytes) -> list[Case]:
    """One of each kind of input."""
    rng = np.random.default_rng(1)
    encoded = np.empty(1, dtype=object)
    encoded[0] = picture
    levels = rng.integers(0, 255, (1, HEIGHT, WIDTH, 3), np.uint8)
    boxes = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
    return [
        Case(
            "photo",
            "float32 224 x 224",
            "picture",
            ("probabilities",),
            rng.random((1, 224, 224, 3), np.float32),
        ),
        Case("encoded", "the encoded picture", "image_bytes", ("classes", "scores"), encoded),
        Case("things", f"uint8 {WIDTH} x {HEIGHT}", "image_tensor", boxes, levels),
    ]


def direct_grpc(case: Case, port: int) -> Callable[[], object]:
    """Sends one made request to the remote itself."""
    call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(PREDICT)
    request = predict_request(
        ModelSpec(name=case.model),
        signature="serving_default",
        inputs={case.input: tensor_parts(case.batch)},
        outputs=case.outputs,
    )
    return lambda: call(request, timeout=20)


def direct_rest(case: Case, port: int) -> Callable[[], object]:
    """The same over REST."""
    rows = case.batch.tolist()
    if case.batch.dtype == object:
        rows = [{"b64": base64.b64encode(data).decode()} for data in rows]
    body = json.dumps({"instances": rows}).encode()
    post = poster(port, f"/v1/models/{case.model}:predict")
    return lambda: post(body)


def poster(port: int, path: str) -> Callable[[bytes], dict[str, str]]:
    """Posts on one kept connection; the headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(body: bytes) -> dict[str, str]:
        if connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # closed by the other side meanwhile
        connection.request("POST", path, body)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(content)
        return {key.lower(): value for key, value in answer.getheaders()}

    return post


def told(headers: dict[str, str], *stages: str) -> float:
    """Milliseconds of some stages, as the server tells them."""
    found = dict(re.findall(r"(\w+);dur=([\d.]+)", headers["server-timing"]))
    return sum(float(found[stage]) for stage in stages)


def measure(
    case: Case, language: str, direct: Callable[[], object], port: int, args: argparse.Namespace
) -> Row:
    """Take turns until the time is over."""
    picture = photo()
    gateway = poster(port, f"/api/predict?model={case.model}")
    other = poster(port, "/api/predict?model=colours")
    times: dict[str, list[float]] = {"direct": [], "gateway": [], "prepared": [], "any": []}
    end = time.perf_counter() + args.seconds
    while time.perf_counter() < end or len(times["direct"]) < 30:
        spent, _ = timed(direct)
        times["direct"].append(spent)
        spent, headers = timed(lambda: gateway(picture))
        times["gateway"].append(spent)
        times["prepared"].append(told(headers, "decode", "prepare"))
        spent, headers = timed(lambda: other(picture))
        times["any"].append(spent - told(headers, "decode", "prepare", "run"))
    middle = {name: round(median(values[5:]), 2) for name, values in times.items()}
    over = round(middle["gateway"] - middle["direct"] - middle["prepared"], 2)
    return Row(
        takes=case.words,
        language=language,
        direct=middle["direct"],
        gateway=middle["gateway"],
        prepared=middle["prepared"],
        overhead=over,
        any_request=middle["any"],
        own=round(over - middle["any"], 2),
    )


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Milliseconds of one call, and what it gave."""
    begun = time.perf_counter()
    found = work()
    return (time.perf_counter() - begun) * 1000, found


def started(command: list[str], ready: str) -> tuple[subprocess.Popen, str]:
    """A process, and the line that tells that it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout or ():
        if ready in line:
            threading.Thread(target=drain, args=(process,), daemon=True).start()
            return process, line
    raise RuntimeError(f"{command} ended")


def drain(process: subprocess.Popen) -> None:
    """Read what it says on: a full pipe would stop it."""
    for _ in process.stdout or ():
        pass


def run(args: argparse.Namespace) -> list[Row]:
    """All rows."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        serve = [sys.executable, str(ROOT / "tests/stand_in/serve.py"), f"{folder}/models"]
        remote, line = started([*serve, "--grpc-port", "0", "--rest-port", "0"], '"grpc"')
        try:
            ports = json.loads(line)
            for language, make in (("grpc", direct_grpc), ("rest", direct_rest)):
                scheme = {"grpc": "grpc", "rest": "http"}[language]
                address = f"{scheme}://127.0.0.1:{ports[language]}"
                rows += through(Path(folder) / language, address, make, ports[language], args)
        finally:
            remote.terminate()
            remote.wait(20)
    return rows


def through(
    folder: Path,
    address: str,
    make: Callable[[Case, int], Callable[[], object]],
    port: int,
    args: argparse.Namespace,
) -> list[Row]:
    """The rows of one language."""
    language = {"grpc": "gRPC", "rest": "REST"}[folder.name]
    asked = [case for case in cases(photo()) if language == "gRPC" or case.model == "encoded"]
    for case in asked:
        (folder / case.model).mkdir(parents=True)
        card = f'engine = "tfserving"\n[remote]\naddress = "{address}"\n'
        (folder / case.model / "model.toml").write_text(card)
    tintype = str(Path(sys.executable).parent / "tintype")
    command = [
        tintype,
        "serve",
        str(folder),
        str(COLOURS),
        "--port",
        "0",
        "--state",
        f"{folder}-state",
    ]
    gateway, line = started(command, "ready: ")
    try:
        found = re.search(r":(\d+) ", line)
        at = int(found[1]) if found else 0
        return [measure(case, language, make(case, port), at, args) for case in asked]
    finally:
        gateway.terminate()
        gateway.wait(30)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rows = run(args)
    table = HEAD + "".join(
        f"| {row.takes} | {row.language} | {row.direct} | {row.gateway} | {row.prepared} "
        f"| {row.overhead} | {row.any_request} | **{row.own}** |\n"
        for row in rows
    )
    print(table)
    if args.write:
        RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        PAGE.write_text(TABLE.sub(lambda _: table, PAGE.read_text()))


if __name__ == "__main__":
    main()
