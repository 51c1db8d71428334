"""A Ray cluster of two nodes on this machine, run by orders on stdin: one a line, one answer each.

A process of its own, so that nothing of Ray is left in that of the tests. The first node holds the
front and one replica of each model; what is added finds room on the second alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster

from tintype.cluster.app import APP, application
from tintype.cluster.config import last_bound
from tintype.cluster.start import VARIABLES
from tintype.models.library import find_cards
from tintype.settings import read_settings

_NODE: dict[str, Any] = {"object_store_memory": 80 << 20}


def main() -> None:
    """``two_nodes.py MODELS SETTINGS PORT CPUS``, the settings in JSON by their dotted names."""
    models, flags, port, cpus = Path(sys.argv[1]), json.loads(sys.argv[2]), *map(int, sys.argv[3:])
    cluster = Cluster(
        initialize_head=True, head_node_args={**_NODE, "num_cpus": cpus, "include_dashboard": False}
    )
    ray.init(
        address=cluster.address,
        runtime_env={"env_vars": {**VARIABLES}},
        log_to_driver=False,
        logging_level="ERROR",
    )
    settings = read_settings(environment={}, flags=flags)
    serve.start(
        proxy_location="HeadOnly",
        http_options={
            "host": "127.0.0.1",
            "port": port,
            "request_timeout_s": last_bound(settings),
        },
    )

    def deploy(changes: str) -> None:
        new = read_settings(environment={}, flags={**flags, **json.loads(changes or "{}")})
        serve.run(application(find_cards((models,)), new), name=APP, route_prefix="/")

    def running(_: str) -> dict[str, int]:
        app = serve.status().applications[APP]
        return {
            name: each.replica_states.get("RUNNING", 0) for name, each in app.deployments.items()
        }

    orders = {
        "deploy": deploy,
        "running": running,
        "add": lambda _: cluster.add_node(**_NODE, num_cpus=2) and None,
        "kill": lambda _: cluster.remove_node(
            next(iter(cluster.worker_nodes)), allow_graceful=False
        ),
    }
    _answer("ready")
    for line in sys.stdin:
        order, _, words = line.strip().partition(" ")
        if order == "end":
            break
        _answer(orders[order](words))
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()
    _answer("ended")


def _answer(value: object) -> None:
    sys.stdout.write(json.dumps({"answer": value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
