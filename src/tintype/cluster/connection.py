"""A connection to a running Ray cluster, or to one on this machine that ends with it."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import ray

from tintype.cores import usable_cores
from tintype.errors import SettingsError

NO_VARIABLES: Final[Mapping[str, str]] = MappingProxyType({})
_QUIETLY: Final[dict[str, Any]] = {"log_to_driver": False, "logging_level": "ERROR"}
"""Ray writes the logs of its processes into files; what it says here would stand beside ours."""
_KNOCK_SECONDS: Final = 5.0
_NO_TOKEN: Final = "AuthenticationError"  # noqa: S105 - the name of Ray's error


@contextmanager
def connected(
    address: str, *, cores: float = 0.0, variables: Mapping[str, str] = NO_VARIABLES
) -> Iterator[None]:
    """A running cluster at an address; without one, a cluster here, for this alone.

    Cores are what Ray counts by: a small machine is told to have as many as ``cores`` wants. The
    ``variables`` are those of all processes that Ray starts for us. Raises SettingsError where no
    cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that we run
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    options: dict[str, Any] = {"runtime_env": {"env_vars": {**variables}}} if variables else {}
    try:
        if address:
            _knock(address)
            ray.init(address=address, **options, **_QUIETLY)
        else:
            most = max(usable_cores(), math.ceil(cores))
            ray.init(address="local", num_cpus=most, include_dashboard=False, **options, **_QUIETLY)
    except (OSError, ValueError) as error:
        raise _refused(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def _refused(address: str, error: Exception) -> SettingsError:
    """Ray tells of a token that is missing only in the cause, and only there why."""
    if _NO_TOKEN in str(error.__cause__):
        return SettingsError(
            f"the Ray cluster at {address!r} takes only those who have its token",
            hint="RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or in ~/.ray/auth_token",
        )
    return SettingsError(
        f"no Ray cluster answers at {address!r}: {error}",
        hint="--address auto, HOST:6379, or ray://HOST:10001",
    )
