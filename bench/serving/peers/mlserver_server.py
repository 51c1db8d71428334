"""MLServer: a folder with its settings and a custom runtime, served by its own command."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

from classifier import WORKERS

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_settings(folder: Path) -> None:
    """The two files that MLServer reads, and the runtime beside them."""
    for name in ("mlserver_runtime.py", "classifier.py"):
        shutil.copy(HERE / name, folder / name)
    server = {
        "host": "127.0.0.1",
        "http_port": int(os.environ["BENCH_PORT"]),
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": WORKERS,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(server))
    model = {"name": "classify", "implementation": "mlserver_runtime.Classify"}
    (folder / "model-settings.json").write_text(json.dumps(model))


if __name__ == "__main__":
    state = Path(os.environ["BENCH_STATE"])
    write_settings(state)
    program = str(Path(sys.executable).with_name("mlserver"))
    os.chdir(state)
    os.execv(program, [program, "start", "."])  # noqa: S606 - the server takes this process's place
