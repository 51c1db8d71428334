"""One model while it is served in this process: loaded, warm, answering, drained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
from msgspec import Struct

from tintype.batching.batcher import Batcher, OnBatch
from tintype.batching.held import AHEAD
from tintype.batching.policy import BatchPolicy, settled
from tintype.batching.running import Answer, Make, RowOutcome, run_rows
from tintype.batching.turns import Turn, Turns
from tintype.cores import usable_cores
from tintype.engines.catalog import load
from tintype.engines.engine import CPU, MOST_BATCH, MOST_NICE, Engine, EngineOptions
from tintype.engines.give_back import give_back_memory
from tintype.engines.stand_back import stand_back
from tintype.errors import ModelFileError, ModelUnavailable
from tintype.imaging.encoded import png, row_of
from tintype.imaging.prepare import prepare
from tintype.models.card import Tuned
from tintype.models.hosted import Hosted
from tintype.models.info import Health
from tintype.models.plan import ModelPlan, without_graph
from tintype.models.tuned import PLAIN, not_as_tuned, plain, tuned_graph, tuned_options
from tintype.results.classify import label_scores, ranked_scores
from tintype.results.detect import boxes
from tintype.results.keep import Keep
from tintype.types import Box, ClassOutput, LabelScore, RankedOutput, Tensor, Window

_ANY_SIZE_SIDE = 320
_WIDEN_AFTER_SECONDS = 1.0
_SPARE_NICE = MOST_NICE
"""A thread more makes a row ready while every stream of the engine runs: a core that would wait
for Python's lock, or for the next row, has one. It is for idle cores, and disturbs no other."""
_AHEAD = 16
"""Pictures made ready ahead of an engine that takes them in batches, at least."""


class Found(Struct, frozen=True, kw_only=True):
    """What a model says of one picture: labels or boxes, never both."""

    labels: tuple[LabelScore, ...] | None = None
    boxes: tuple[Box, ...] | None = None


class ModelHost(Hosted):
    """Serves one planned model. Enter it to load, leave it to drain; ``engine`` is for tests.

    ``expects_company``: many may ask at once, so the engine is widened once it answers.
    """

    def __init__(  # noqa: PLR0913 - what a model is served with
        self,
        plan: ModelPlan,
        *,
        policy: BatchPolicy,
        options: EngineOptions,
        engine: Engine | None = None,
        on_batch: OnBatch = lambda _: None,
        expects_company: bool = False,
    ) -> None:
        super().__init__(plan)
        self._state = Health.LOADING
        self._on_gpu = plan.device != CPU
        self._policy = settled(policy, together=self._on_gpu)
        self._options = replace(options, device=plan.device)
        if self._on_gpu:
            self._options = replace(self._options, batch=min(self._policy.max_batch, MOST_BATCH))
        self._engine = engine
        self._on_batch = on_batch
        self._batcher: Batcher | None = None
        self._turns = Turns(_AHEAD)
        self._expects_company = expects_company
        # a thread that feeds a GPU computes little, and the GPU waits while it stands back
        self._begin = partial(stand_back, 0 if self._on_gpu else options.nice)
        self._widening: asyncio.Task[None] | None = None
        self._remote = plan.card.remote is not None
        self._makes_rows = False

    async def __aenter__(self) -> Self:
        """Load the engine, warm it with one grey picture. Raises ModelFileError, ServingError."""
        try:
            await self._in_own_thread(self._load_and_warm)
        except BaseException:
            self._state = Health.FAILED
            if self._engine is not None:
                await asyncio.to_thread(self._engine.close)
            raise
        assert self._engine is not None  # noqa: S101 - set by the line above
        alone = self._engine.batch_size == 1 and not self._remote
        self._makes_rows = alone and self._engine.streams >= usable_cores()
        has_spare = self._makes_rows and self._engine.streams > 1
        spare = partial(stand_back, _SPARE_NICE if self._options.nice else 0) if has_spare else None
        batcher = Batcher(
            self._engine,
            policy=self._policy,
            on_batch=self._on_batch,
            begin=self._begin,
            steady=not self._remote,
            together=self._on_gpu,
            spare=spare,
        )
        self._batcher = await batcher.__aenter__()
        self._turns = Turns(
            _ahead(self._engine, has_spare=has_spare, max_batch=self._policy.max_batch)
        )
        self._state = Health.READY
        if self._expects_company and not self._on_gpu:
            self._widening = asyncio.create_task(self._widen_soon(self._engine))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish what was accepted, then give the engine back."""
        self._state = Health.DRAINING
        if self._widening is not None:
            self._widening.cancel()
        if self._batcher is not None:
            await self._batcher.__aexit__(kind, error, trace)
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)

    async def _in_own_thread(self, work: Callable[[], None]) -> None:
        """Run it in a thread that stands back, with all threads that it starts.

        Work whose waiter is cancelled ends by itself.
        """
        thread = ThreadPoolExecutor(1, "engine-load", initializer=self._begin)
        try:
            await asyncio.get_running_loop().run_in_executor(thread, work)
        finally:
            thread.shutdown(wait=False)

    async def _widen_soon(self, engine: Engine) -> None:
        """The first who ask, and other models that load, have the processors first."""
        await asyncio.sleep(_WIDEN_AFTER_SECONDS)
        await self._in_own_thread(engine.widen)
        await asyncio.to_thread(give_back_memory)

    async def widen(self) -> None:
        """Be ready for company now, as a server is soon after its start."""
        if self._engine is not None:
            await self._in_own_thread(self._engine.widen)

    def _load_and_warm(self) -> None:
        if self._engine is None:
            self._engine = self._load()
            self.plan = without_graph(self.plan)
        if self._on_gpu and self._expects_company:
            self._engine.widen()  # the first batch of each size would keep others waiting
        grey = np.full((_ANY_SIZE_SIDE, _ANY_SIZE_SIDE, self.target.channels), 128, np.uint8)
        if self.target.tensor.dtype == "string":
            row = row_of(png(grey))
        else:
            row = prepare(grey, recipe=self.recipe, target=self.target, point=None)
        self._engine.run(row[np.newaxis])
        give_back_memory()

    def _load(self) -> Engine:
        """The engine as tuned, or in f32 where that cannot be; then it is said."""
        plan, options = self.plan, self._options
        graph, tuned = plan.description.graph, plan.tuned if options.tuned else None
        if tuned is None or tuned.precision == PLAIN:
            return load(graph, engine=plan.engine, options=tuned_options(options, tuned))
        try:
            engine = load(
                tuned_graph(graph, tuned), engine=plan.engine, options=tuned_options(options, tuned)
            )
        except ModelFileError as error:
            self._say_not_as_tuned(tuned, error.message)
            options = tuned_options(options, plain(tuned))
            return load(graph, engine=plan.engine, options=options)
        if engine.precision != tuned.precision:
            self._say_not_as_tuned(tuned, "this processor does not have it")
        return engine

    def _say_not_as_tuned(self, tuned: Tuned, why: str) -> None:
        said = not_as_tuned(tuned, why)
        self.plan = replace(
            self.plan, tuned=plain(tuned), not_as_tuned=said, warnings=(*self.plan.warnings, said)
        )

    @property
    def health(self) -> Health:
        """Where it is in its life; a remote that is down comes back by itself."""
        is_down = self._engine is not None and not self._engine.reachable
        return Health.UNREACHABLE if is_down and self._state is Health.READY else self._state

    @property
    def precision(self) -> str:
        """What the engine computes in: ``f32``, ``bf16``, ``int8``."""
        return self._engine.precision if self._engine else PLAIN

    def waiting(self) -> int:
        """How many pictures wait for the engine."""
        rows = 0 if self._batcher is None else self._batcher.waiting()
        return rows + self._turns.waiting()

    def turn(self, *, deadline: float) -> Turn:
        """The right to have one picture made ready for it now, see ``Turns.take``."""
        return self._turns.take(deadline=deadline)

    async def submit(self, row: Tensor | Make, *, deadline: float | None) -> Answer:
        """Run one row in some batch, see ``Batcher.submit``. Raises ServingError."""
        if self._batcher is None or self._state is not Health.READY:
            raise ModelUnavailable(f"the model {self.name!r} is {self.health.value}")
        return await self._batcher.submit(row, deadline=deadline)

    @property
    def makes_rows(self) -> bool:
        """Whether the thread that runs a row may as well make it.

        It may where rows are run one by one, by a thread for each core: elsewhere pictures are
        decoded beside the run, by cores that would idle.
        """
        return self._makes_rows

    @property
    def rows_at_once(self) -> int:
        """How many rows one run of the engine takes, or gains by."""
        own = None if self._engine is None else self._engine.batch_size
        return self._policy.max_batch if own is None else own

    @property
    def streams(self) -> int:
        """How many threads may gain by running rows side by side."""
        return 1 if self._engine is None else self._engine.streams

    def run_rows(self, rows: Sequence[Tensor]) -> list[RowOutcome]:
        """Run rows in the calling thread, past the queue of those who wait; for bulk work.

        May be called from several threads. Raises ModelUnavailable when it is not loaded.
        """
        if self._engine is None or self._state is not Health.READY:
            raise ModelUnavailable(f"the model {self.name!r} is {self.health.value}")
        return run_rows(self._engine, rows, most=self.rows_at_once)

    def read_out(
        self,
        outputs: tuple[Tensor, ...],
        *,
        window: Window | None,
        top: int | None,
        threshold: float | None,
    ) -> Found:
        """Labels or boxes from one picture's raw outputs. Raises EngineFailed.

        Boxes need the ``window`` in which they were found.
        """
        output, labels = self.plan.description.output, self.plan.labels
        keep = Keep(
            top=self.plan.top if top is None else top,
            threshold=self.plan.threshold if threshold is None else threshold,
        )
        if isinstance(output, ClassOutput):
            return Found(labels=label_scores(outputs[0], output=output, labels=labels, keep=keep))
        if isinstance(output, RankedOutput):
            return Found(labels=ranked_scores(outputs, labels=labels, keep=keep))
        assert window is not None  # noqa: S101 - the picture was made ready for a detector
        return Found(boxes=boxes(outputs, output=output, labels=labels, window=window, keep=keep))


def _ahead(engine: Engine, *, has_spare: bool, max_batch: int) -> int:
    """How many pictures are made ready ahead: enough that the engine never waits for the next.

    One by one, those are what each of its threads is given, and a few more to give.
    """
    if engine.batch_size == 1:
        return (AHEAD + 2) * (engine.streams + has_spare)
    return max(_AHEAD, 2 * (engine.batch_size or max_batch) * engine.streams)
