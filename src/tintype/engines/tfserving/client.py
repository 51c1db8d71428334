"""How a TensorFlow Serving is asked: what its two languages have in common."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from tintype.errors import DeadlineExceeded, RemoteFailed, SettingsError
from tintype.types import RemoteModel, Tensor
from tintype.wire.tensorflow_serving import ServedSignature, VersionStatus

MAX_ANSWER_BYTES = 64 << 20
"""Most bytes of an answer that are read."""
MAX_ANSWER_VALUES = MAX_ANSWER_BYTES // 4

Answers = Mapping[str, npt.NDArray[np.generic]]
"""Outputs by name: numbers of any dtype, or texts as numpy bytes."""


class Client(Protocol):
    """A connection to one remote model. Calls block, and may come from several threads.

    Every ``timeout`` is in seconds, above 0, and holds for the whole call. All raise
    RemoteUnreachable when nothing was sent, RemoteRefused when the remote does not take what was
    sent, RemoteFailed for any other error or an answer that cannot be read, and DeadlineExceeded.
    """

    def signatures(self, *, timeout: float) -> Mapping[str, ServedSignature]:
        """The ways to ask the model, by name."""
        ...

    def status(self, *, timeout: float) -> tuple[VersionStatus, ...]:
        """Every version the remote has, or the one asked for."""
        ...

    def predict(
        self, batch: Tensor, *, input_name: str, outputs: tuple[str, ...], timeout: float
    ) -> Answers:
        """Have ``batch`` answered: numbers, or an array of objects that are encoded pictures.

        Sent again only when the remote cannot have seen it.
        """
        ...

    def close(self) -> None:
        """Let the connections go."""
        ...


def connect(remote: RemoteModel) -> Client:
    """A client for the language of the address; nothing is sent yet. Raises SettingsError.

    Nothing of either language is imported before a model wants it.
    """
    scheme = urlsplit(remote.address).scheme
    language = "grpc_client" if scheme.startswith("grpc") else "rest_client"
    try:
        module = importlib.import_module(f"tintype.engines.tfserving.{language}")
    except ImportError as error:
        raise SettingsError(
            f"gRPC is not installed ({error}), and the address is {remote.address}",
            hint="pip install 'tintype[tfserving]', or give the REST address: http://HOST:8501",
        ) from error
    made: Client = module.connect(remote)
    return made


def authorities(file: Path) -> bytes:
    """The certificates in ``file``, as PEM. Raises SettingsError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{file.name} cannot be read: {error.strerror or error}",
            hint="ca under [remote] names a file beside the card",
        ) from error


def who(remote: RemoteModel) -> str:
    """The remote in words for callers: without its address, which is the operator's affair."""
    return f"the TensorFlow Serving behind {remote.name!r}"


def gist(text: object) -> str:
    """What a remote said, on one line and not longer than a person reads."""
    words = " ".join(str(text).split())
    return words if len(words) <= 300 else f"{words[:297]}..."


def too_late(remote: RemoteModel, timeout: float) -> DeadlineExceeded:
    """The error for an answer that did not come in time."""
    return DeadlineExceeded(
        f"{who(remote)} did not answer within {timeout:.3g} s",
        hint="timeout_seconds under [remote] in the card, or requests.deadline_seconds, moves it",
    )


def unreadable(remote: RemoteModel, error: object) -> RemoteFailed:
    """The error for an answer that is none."""
    return RemoteFailed(f"{who(remote)} answered what cannot be read: {gist(error)}")
