"""TensorFlow Serving over REST. Imported only when a card has such an address.

Paths and bodies: the "RESTful API" page of TensorFlow Serving's documentation, row format.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import numpy as np
import numpy.typing as npt

from tintype.engines.tfserving.client import (
    MAX_ANSWER_BYTES,
    Answers,
    authorities,
    gist,
    too_late,
    unreadable,
    who,
)
from tintype.engines.tfserving.http_client import HttpAnswer, HttpClient, NotConnected
from tintype.errors import RemoteFailed, RemoteRefused, RemoteUnreachable, SettingsError
from tintype.types import RemoteModel, Shape, Tensor
from tintype.wire.tensorflow_serving import End, ServedSignature, VersionStatus
from tintype.wire.tensors import DTYPES

T = TypeVar("T")

_PAUSE = 0.1
"""Seconds before the one further attempt to connect."""
_KINDS = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    **{f"DT_{name.upper()}": name for name in DTYPES.values()},
}
"""Names of DataType (types.proto) as JSON has them."""


def connect(remote: RemoteModel) -> RestClient:
    """A client; it connects when first used."""
    address = urlsplit(remote.address.rstrip("/"))
    tls = _tls(remote) if address.scheme == "https" else None
    return RestClient(remote, HttpClient(address, max_bytes=MAX_ANSWER_BYTES, tls=tls))


def _tls(remote: RemoteModel) -> ssl.SSLContext:
    """Checks the certificate. Raises SettingsError for a file of authorities that is none."""
    if remote.ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=authorities(remote.ca).decode("ascii", "replace"))
    except ssl.SSLError as error:
        raise SettingsError(f"{remote.ca.name} holds no certificates: {gist(error)}") from error


class RestClient:
    """Kept connections for all threads, JSON in, JSON out."""

    def __init__(self, remote: RemoteModel, client: HttpClient) -> None:
        self._remote = remote
        self._http = client
        path = f"/v1/models/{quote(remote.name, safe='')}"
        if remote.version is not None:
            path += f"/versions/{remote.version}"
        elif remote.label is not None:
            path += f"/labels/{quote(remote.label, safe='')}"
        self._path = path

    def signatures(self, *, timeout: float) -> Mapping[str, ServedSignature]:
        """See ``Client``."""
        told = self._ask("GET", "/metadata", None, timeout)
        return self._read(_signatures, told)

    def status(self, *, timeout: float) -> tuple[VersionStatus, ...]:
        """See ``Client``."""
        return self._read(_versions, self._ask("GET", "", None, timeout))

    def predict(
        self, batch: Tensor, *, input_name: str, outputs: tuple[str, ...], timeout: float
    ) -> Answers:
        """See ``Client``. The name of the input is not needed: a signature with one takes values.

        The remote sends every output; those not asked for are dropped.
        """
        del input_name
        body = {"signature_name": self._remote.signature, "instances": _instances(batch)}
        told = self._ask("POST", ":predict", msgspec.json.encode(body), timeout)
        return self._read(lambda given: _predictions(given, outputs), told)

    def close(self) -> None:
        """See ``Client``."""
        self._http.close()

    def _ask(self, method: str, what: str, body: bytes | None, timeout: float) -> bytes:
        """One exchange; the connection, and nothing else, is tried twice."""
        ends = time.monotonic() + timeout
        try:
            try:
                answer = self._http.ask(method, self._path + what, body=body, timeout=timeout)
            except NotConnected:
                left = ends - time.monotonic() - _PAUSE
                if left <= 0:
                    raise
                time.sleep(_PAUSE)
                answer = self._http.ask(method, self._path + what, body=body, timeout=left)
        except TimeoutError as error:
            raise too_late(self._remote, timeout) from error
        except NotConnected as error:
            raise RemoteUnreachable(f"no connection to {who(self._remote)}") from error
        except http.client.IncompleteRead as error:
            raise RemoteFailed(
                f"{who(self._remote)} broke off in the middle of its answer"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise RemoteFailed(
                f"{who(self._remote)} broke off: {gist(error) or type(error).__name__}"
            ) from error
        except ValueError as error:
            raise unreadable(self._remote, error) from error
        return self._content(answer)

    def _content(self, answer: HttpAnswer) -> bytes:
        if answer.status == http.HTTPStatus.OK:
            return answer.body
        words = f"{who(self._remote)} answered {answer.status}: {_complaint(answer.body)}"
        raise (RemoteRefused if answer.status == 400 else RemoteFailed)(words)

    def _read(self, reader: Callable[[Any], T], told: bytes) -> T:
        try:
            return reader(msgspec.json.decode(told))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise unreadable(self._remote, error) from error


def _instances(batch: Tensor) -> list[Any]:
    if batch.dtype.kind != "O":
        return batch.tolist()  # type: ignore[no-any-return]
    return [{"b64": base64.b64encode(data).decode("ascii")} for data in batch.tolist()]


def _predictions(told: Any, outputs: tuple[str, ...]) -> Answers:
    """Outputs by name. A model with one output gives its rows without a name."""
    rows = told["predictions"]
    if not isinstance(rows, list) or not rows:
        raise ValueError("it holds no list of predictions")
    if not isinstance(rows[0], dict) or "b64" in rows[0]:
        if len(outputs) != 1:
            raise ValueError(f"one output, where {len(outputs)} were expected")
        return {outputs[0]: _array(rows)}
    return {name: _array([row[name] for row in rows]) for name in outputs if name in rows[0]}


def _array(rows: list[Any]) -> npt.NDArray[np.generic]:
    """Numbers, or texts as bytes. Raises ValueError for rows of unequal lengths."""
    array = np.array(rows)
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8")
    return array


def _complaint(body: bytes) -> str:
    """What the remote says in its ``error``, or whatever it says."""
    try:
        told = msgspec.json.decode(body)
        return gist(told["error"])
    except (ValueError, KeyError, TypeError):
        return gist(body[:1000].decode("utf-8", "replace")) or "no reason given"


def _signatures(told: Any) -> dict[str, ServedSignature]:
    named = told["metadata"]["signature_def"]["signature_def"]
    return {
        name: ServedSignature(
            inputs=_ends(signature.get("inputs", {})),
            outputs=_ends(signature.get("outputs", {})),
            method=signature.get("method_name", ""),
        )
        for name, signature in named.items()
    }


def _ends(named: Any) -> dict[str, End]:
    return {
        name: End(
            dtype=_KINDS.get(info["dtype"], str(info["dtype"])),
            shape=_shape(info.get("tensor_shape", {})),
        )
        for name, info in named.items()
    }


def _shape(told: Any) -> Shape | None:
    if told.get("unknown_rank"):
        return None
    sides = [int(side["size"]) for side in told.get("dim", [])]
    return tuple(side if side >= 0 else None for side in sides)


def _versions(told: Any) -> tuple[VersionStatus, ...]:
    return tuple(
        VersionStatus(
            version=int(each.get("version", 0)),
            state=str(each["state"]),
            message=str(each.get("status", {}).get("error_message", "")),
        )
        for each in told["model_version_status"]
    )
