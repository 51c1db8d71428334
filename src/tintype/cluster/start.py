"""``--on ray``: the application on a Ray of its own on this machine, or on a running cluster."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import ray
from ray import serve

from tintype.cluster.app import APP, application, sound
from tintype.cluster.config import last_bound
from tintype.cluster.layout import lay_out, least_cpus
from tintype.cores import usable_cores
from tintype.errors import ModelUnavailable, SettingsError
from tintype.models.card import Card
from tintype.settings import Settings

_QUIETLY: Final[dict[str, Any]] = {"log_to_driver": False, "logging_level": "ERROR"}
"""Ray writes the logs of its processes into files; what it says here would stand beside ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where to run. ``address``: of a running cluster; empty starts one here, for this alone."""

    address: str = ""


def serve_on_ray(
    cards: tuple[Card, ...],
    settings: Settings,
    cluster: Cluster,
    *,
    tell: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then let what was accepted finish, and leave nothing behind.

    Raises SettingsError where there is no cluster at the address, and what ``application`` raises.
    """
    app = application(cards, settings)
    stop = threading.Event()
    served = sound(cards)
    for card in cards:
        if card not in served:
            tell(f"left out: {card.name}. tintype inspect {card.file} says why")
    needed = least_cpus(lay_out(served, settings.cluster), settings.cluster)
    _connect(cluster, cpus=needed)
    try:
        there = ray.cluster_resources().get("CPU", 0.0)
        if there < needed:
            tell(f"note: {needed:g} cores are wanted, the cluster has {there:g}: waiting for more")
        serve.start(
            proxy_location="EveryNode",
            http_options=http_options(settings),
            logging_config={"log_level": "WARNING", "enable_access_log": False},
        )
        _run(app)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        tell(f"ready: http://{settings.server.host}:{settings.server.port}  (Ctrl-C stops)")
        stop.wait()
        serve.delete(APP)
    finally:
        if not cluster.address:
            serve.shutdown()
        ray.shutdown()


def _run(app: serve.Application) -> None:
    """Start it and wait until it answers. Raises ModelUnavailable where it cannot."""
    try:
        serve.run(app, name=APP, route_prefix="/")
    except RuntimeError as error:
        first = str(error).partition("\n")[0]
        raise ModelUnavailable(
            f"Ray could not start it: {first}", hint="its logs say why: serve status"
        ) from error


def http_options(settings: Settings) -> dict[str, Any]:
    """Ray's own HTTP server: where it listens, and the last bound on a request's time."""
    server = settings.server
    return {"host": server.host, "port": server.port, "request_timeout_s": last_bound(settings)}


def _connect(cluster: Cluster, *, cpus: float) -> None:
    """Cores are what Ray counts by: a small machine is told to have as many as must start."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that we run
    if not cluster.address:
        most = max(usable_cores(), math.ceil(cpus))
        ray.init(address="local", num_cpus=most, include_dashboard=False, **_QUIETLY)
        return
    try:
        ray.init(address=cluster.address, **_QUIETLY)
    except (ConnectionError, ValueError) as error:
        raise SettingsError(
            f"no Ray cluster answers at {cluster.address!r}: {error}",
            hint="--address auto, HOST:6379, or ray://HOST:10001",
        ) from error
