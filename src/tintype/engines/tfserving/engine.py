"""A remote TensorFlow Serving as an engine like any other."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from tintype.engines.engine import EngineOptions
from tintype.engines.tensors import check_batch, parts, real_numbers
from tintype.engines.tfserving.breaker import Breaker, BreakerPolicy
from tintype.engines.tfserving.client import Answers, Client, connect, too_late, who
from tintype.errors import (
    DeadlineExceeded,
    EngineFailed,
    RemoteFailed,
    RemoteRefused,
    RemoteUnreachable,
    ServingError,
    TintypeError,
    UnsupportedModel,
)
from tintype.types import Batch, Begun, Graph, RemoteModel, Tensor, TensorSpec

_FAIR_SECONDS = 1.0
"""A call that was given less says nothing of the remote when it is late."""
_CHECK_SECONDS, _CHECK_SECONDS_DOWN, _CHECK_TIMEOUT = 5.0, 1.0, 2.0
_CHECKS_TO_TRIP = 2


def load_tfserving(graph: Graph, options: EngineOptions) -> TfServingEngine:
    """The engine for a model that a TensorFlow Serving runs.

    Nothing is sent yet. Raises UnsupportedModel for a graph that is no remote model, SettingsError
    where the language of the address is not installed.
    """
    del options  # threads and streams are those of the remote; the card says how many calls
    if graph.remote is None:
        raise UnsupportedModel("the engine tfserving asks a TensorFlow Serving, it reads no files")
    client = connect(graph.remote)
    return TfServingEngine(graph.remote, client, given=graph.input, outputs=graph.outputs)


class TfServingEngine:
    """An ``Engine`` whose runs are calls to a remote.

    A breaker keeps calls back from a remote that is down; a thread of its own asks for the model's
    status from time to time, so that its health is known without any traffic.
    """

    def __init__(
        self,
        remote: RemoteModel,
        client: Client,
        *,
        given: TensorSpec,
        outputs: tuple[TensorSpec, ...],
    ) -> None:
        self._remote = remote
        self._client = client
        self._input = given
        self._wanted = outputs
        self._breaker = Breaker(BreakerPolicy())
        self._closed = threading.Event()
        self._checks: threading.Thread | None = None

    @property
    def name(self) -> str:
        """``tfserving``."""
        return "tfserving"

    @property
    def precision(self) -> str:
        """``remote``: what it computes in is the remote's affair."""
        return "remote"

    @property
    def input(self) -> TensorSpec:
        """The input of the remote's signature."""
        return self._input

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs of the remote's signature: numbers come as float32, names as bytes."""
        return tuple(
            spec if spec.dtype == "string" else replace(spec, dtype="float32")
            for spec in self._wanted
        )

    @property
    def batch_size(self) -> int | None:
        """The batch size of the signature, None where any goes."""
        return self._input.shape[0]

    @property
    def streams(self) -> int:
        """How many calls may be under way at once, as the card says."""
        return self._remote.calls

    @property
    def reachable(self) -> bool:
        """Whether a call would be tried now."""
        return not self._breaker.is_open(time.monotonic())

    def run(
        self, batch: Batch, *, deadline: float | None = None, begun: Begun | None = None
    ) -> tuple[Tensor, ...]:
        """Have the remote run ``batch``, see ``Engine.run``."""
        batch = batch() if callable(batch) else batch
        check_batch(batch, self._input)
        if begun is not None:
            begun()
        if self._closed.is_set():
            raise EngineFailed("the engine is closed: it can run nothing more")
        self._start_checks()
        rows, size = batch.shape[0], self.batch_size
        if size is None or size == rows:
            return self._call(batch, deadline)
        done = [self._call(part, deadline) for part in parts(batch, size)]
        return tuple(np.concatenate(pieces)[:rows] for pieces in zip(*done, strict=True))

    def widen(self) -> None:
        """Nothing: calls go side by side from the start."""

    def close(self) -> None:
        """Let the connections go. Calling it again does nothing."""
        self._closed.set()
        if self._checks is not None:
            self._checks.join()
            self._checks = None
        self._client.close()

    def _call(self, batch: Tensor, deadline: float | None) -> tuple[Tensor, ...]:
        """One call, its end told to the breaker."""
        now = time.monotonic()
        timeout = self._remote.timeout_seconds
        if deadline is not None:
            timeout = min(timeout, deadline - now)
        if timeout <= 0:
            raise too_late(self._remote, 0.0)
        wait = self._breaker.wait(now)
        if wait > 0:
            raise RemoteUnreachable(
                f"{who(self._remote)} failed again and again, and is asked again in "
                f"{wait:.1f} s; the last time: {self._breaker.reason}"
            )
        names = tuple(spec.name for spec in self._wanted)
        try:
            answers = self._client.predict(
                batch, input_name=self._input.name, outputs=names, timeout=timeout
            )
            outputs = tuple(self._output(spec, answers, batch.shape[0]) for spec in self._wanted)
        except TintypeError as error:
            self._note(error, timeout)
            raise
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        return outputs

    def _note(self, error: TintypeError, timeout: float) -> None:
        """Tell the breaker what an error says of the remote."""
        if isinstance(error, RemoteRefused):
            self._breaker.succeeded()
        elif isinstance(error, DeadlineExceeded) and timeout < _FAIR_SECONDS:
            self._breaker.abandoned()
        else:
            self._breaker.failed(time.monotonic(), error.message)

    def _output(self, spec: TensorSpec, answers: Answers, rows: int) -> Tensor:
        """One output as promised. Raises RemoteFailed."""
        raw = answers.get(spec.name)
        if raw is None:
            told = ", ".join(answers) or "nothing"
            raise self._wrong(f"the output {spec.name!r} is missing; it answered {told}")
        if rows == 1 and len(raw.shape) == len(spec.shape) - 1:
            raw = raw[np.newaxis]  # an output without a batch axis is that picture's row
        wanted = (rows, *spec.shape[1:])
        fits = len(wanted) == raw.ndim and all(
            want is None or want == have for want, have in zip(wanted, raw.shape, strict=True)
        )
        if not fits:
            shapes = f"{list(raw.shape)}, expected {[side or '?' for side in wanted]}"
            raise self._wrong(f"the output {spec.name!r} has shape {shapes}")
        if raw.dtype.kind not in ("S" if spec.dtype == "string" else "biuf"):
            kind = "texts" if raw.dtype.kind == "S" else raw.dtype.name
            raise self._wrong(f"the output {spec.name!r} holds {kind}, expected {spec.dtype}")
        return raw if spec.dtype == "string" else real_numbers(raw, None)

    def _wrong(self, what: str) -> RemoteFailed:
        return RemoteFailed(
            f"{who(self._remote)} did not answer as its signature said: {what}",
            hint="if the model there has changed, restart this server",
        )

    def _start_checks(self) -> None:
        """Begin to look after the remote at the first run: constructing starts nothing."""
        if self._checks is None:
            self._checks = threading.Thread(
                target=self._check, name="tfserving-checks", daemon=True
            )
            self._checks.start()

    def _check(self) -> None:
        failures = 0
        while not self._closed.wait(_CHECK_SECONDS_DOWN if failures else _CHECK_SECONDS):
            trouble = trouble_of(self._client, timeout=_CHECK_TIMEOUT)
            failures = failures + 1 if trouble else 0
            now = time.monotonic()
            if trouble and failures >= _CHECKS_TO_TRIP:
                self._breaker.trip(now, trouble)
            elif not trouble:
                self._breaker.probe_now(now)


def trouble_of(client: Client, *, timeout: float) -> str:
    """What is the matter with the remote model, in words; empty where nothing is.

    A remote that answers, but not to this question, is taken for well: some servers of the same
    language do not tell a status.
    """
    try:
        versions = client.status(timeout=timeout)
    except (RemoteUnreachable, DeadlineExceeded) as error:
        return error.message
    except ServingError:
        return ""
    if any(version.available for version in versions):
        return ""
    states = ", ".join(f"version {each.version} is {each.state}" for each in versions)
    return f"no version of the model is available there ({states or 'none is known'})"
