"""TensorFlow Serving over gRPC. Imported only when a card has such an address."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import grpc

from tintype.engines.tfserving.client import (
    MAX_ANSWER_BYTES,
    MAX_ANSWER_VALUES,
    Answers,
    authorities,
    gist,
    too_late,
    unreadable,
    who,
)
from tintype.errors import RemoteFailed, RemoteRefused, RemoteUnreachable
from tintype.types import RemoteModel, Tensor
from tintype.wire import tensorflow_serving as messages
from tintype.wire.protobuf import ProtobufError
from tintype.wire.tensors import tensor_parts

T = TypeVar("T")

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),  # no other channel's waiting between attempts
    ("grpc.enable_http_proxy", 0),  # the operator's address is the one that is meant
)
_NEVER_SENT = ("failed to connect to all addresses", "resolution failed", "resolver transient")
"""What gRPC says when there was no connection to send on. Anything else may have been sent."""
_PATIENCE = 0.5
"""Seconds to wait for a lost connection before the one further attempt."""
_REFUSALS = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE"})
"""The remote lives, and does not take this input."""


def connect(remote: RemoteModel) -> GrpcClient:
    """A client; its channel connects when first used, and again after a loss."""
    address = urlsplit(remote.address)
    secure = address.scheme == "grpcs"
    if secure:
        roots = None if remote.ca is None else authorities(remote.ca)
        channel = grpc.secure_channel(address.netloc, grpc.ssl_channel_credentials(roots), _OPTIONS)
    else:
        channel = grpc.insecure_channel(address.netloc, _OPTIONS)
    return GrpcClient(remote, channel)


class GrpcClient:
    """One channel for all threads; bytes in, bytes out."""

    def __init__(self, remote: RemoteModel, channel: Any) -> None:
        self._remote = remote
        self._channel = channel
        self._spec = messages.ModelSpec(
            name=remote.name, version=remote.version, label=remote.label
        )
        self._predict = channel.unary_unary(messages.PREDICT)
        self._metadata = channel.unary_unary(messages.METADATA)
        self._status = channel.unary_unary(messages.STATUS)

    def signatures(self, *, timeout: float) -> Mapping[str, messages.ServedSignature]:
        """See ``Client``."""
        answer = self._call(self._metadata, messages.metadata_request(self._spec), timeout)
        return self._read(messages.read_metadata_response, answer)

    def status(self, *, timeout: float) -> tuple[messages.VersionStatus, ...]:
        """See ``Client``."""
        answer = self._call(self._status, messages.status_request(self._spec), timeout)
        return self._read(messages.read_status_response, answer)

    def predict(
        self, batch: Tensor, *, input_name: str, outputs: tuple[str, ...], timeout: float
    ) -> Answers:
        """See ``Client``."""
        request = messages.predict_request(
            self._spec,
            signature=self._remote.signature,
            inputs={input_name: tensor_parts(batch)},
            outputs=outputs,
        )
        answer = self._call(self._predict, request, timeout)
        return self._read(_outputs, answer)

    def close(self) -> None:
        """See ``Client``."""
        self._channel.close()

    def _call(self, method: Any, request: bytes, timeout: float) -> bytes:
        """Send once; once more only where no connection could be had."""
        ends = time.monotonic() + timeout
        try:
            answer: bytes = method(request, timeout=timeout)
        except grpc.RpcError as error:
            if not _never_sent(error):
                self._raise(error, timeout)
        else:
            return answer
        self._await_connection(ends)
        left = ends - time.monotonic()
        if left <= 0:
            raise too_late(self._remote, timeout)
        try:
            answer = method(request, timeout=left)
        except grpc.RpcError as error:
            self._raise(error, timeout)
        return answer

    def _await_connection(self, ends: float) -> None:
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout=max(0.0, min(_PATIENCE, ends - time.monotonic())))
        except grpc.FutureTimeoutError:
            raise RemoteUnreachable(f"no connection to {who(self._remote)}") from None
        finally:
            ready.cancel()

    def _raise(self, error: Any, timeout: float) -> NoReturn:
        """Raise what the gRPC error means, with what the remote said."""
        code, said = error.code(), gist(error.details() or "no reason given")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise too_late(self._remote, timeout) from error
        if _never_sent(error):
            raise RemoteUnreachable(f"no connection to {who(self._remote)}") from error
        words = f"{who(self._remote)} answered {code.name}: {said}"
        raise (RemoteRefused if code.name in _REFUSALS else RemoteFailed)(words) from error

    def _read(self, reader: Callable[[memoryview], T], answer: bytes) -> T:
        try:
            return reader(memoryview(answer))
        except ProtobufError as error:
            raise unreadable(self._remote, error) from error


def _outputs(answer: memoryview) -> Answers:
    return {
        name: messages.numbers_or_texts(tensor, max_elements=MAX_ANSWER_VALUES)
        for name, tensor in messages.read_predict_response(answer).items()
    }


def _never_sent(error: Any) -> bool:
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return False
    said = (error.details() or "").lower()
    return any(words in said for words in _NEVER_SENT)
