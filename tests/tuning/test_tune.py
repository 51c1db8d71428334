"""The whole of a tuning with engines that tests made: what is tried, judged and kept, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.engines.fake import FakeEngine, colour_scores
from tintype.engines.processor import Processor
from tintype.errors import SettingsError, UnsupportedModel
from tintype.imaging.limits import DecodeLimits
from tintype.models.card import Card
from tintype.models.fake import fake_plan
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan
from tintype.tuning.asking import Pictures
from tintype.tuning.candidates import Candidate
from tintype.tuning.choice import Aim
from tintype.tuning.samples import Samples, read_samples
from tintype.tuning.tune import Bench, Wish, tune
from tintype.types import RemoteModel

BASE = Candidate()
WISH = Wish(seconds=0.5)


def wrong(batch) -> np.ndarray:
    """Says another colour than ``colour_scores`` every time."""
    return np.roll(colour_scores(3)(batch), 1, axis=1)


@dataclass
class Lab:
    """Makes hosts whose engines take ``cost`` of a candidate in seconds a picture, by its clock."""

    cost: Callable[[Candidate], float]
    int8_answer: Callable = field(default_factory=lambda: colour_scores(3))
    now: float = 0.0
    made: list[Candidate] = field(default_factory=list)
    calibrated: list[Path] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clock(self) -> float:
        """Seconds that only engines move."""
        return self.now

    def make(self, plan: ModelPlan) -> ModelHost:
        """A host in the way that its plan was tuned to."""
        tuned = plan.tuned
        assert tuned is not None
        candidate = Candidate(
            precision=tuned.precision,
            threads=tuned.threads,
            streams=tuned.streams,
            batch=tuned.batch,
        )
        self.made.append(candidate)

        def work(batch) -> None:
            with self.lock:
                self.now += self.cost(candidate) * len(batch)

        answer = self.int8_answer if tuned.precision == "int8" else colour_scores(3)
        engine = FakeEngine(answer=answer, before_run=work)
        return ModelHost(plan, policy=BatchPolicy(), options=EngineOptions(), engine=engine)

    def quantise(self, graph, files, *, row_of, out) -> None:
        """Look at every picture, write nothing."""
        del graph, out
        for file in files:
            row_of(file)
            self.calibrated.append(file)

    def bench(self, plan: ModelPlan, samples: Samples, **changes) -> Bench:
        """Everything but the pictures is made up."""
        pictures = Pictures(plan=plan, read=Path.read_bytes, limits=DecodeLimits())
        bench = Bench(
            make=self.make,
            quantise=self.quantise,
            progress=lambda _what, _total: nullcontext(lambda _words: None),
            pictures=pictures,
            samples=samples,
            folder=Path("scratch"),
            processor=Processor(name="Testium", cores=2, flags=frozenset({"avx2"})),
            most_batch=8,
            clock=self.clock,
            rounds=3,
        )
        return replace(bench, **changes)


def quick_int8(candidate: Candidate) -> float:
    """int8 twice as fast; streams and batches make no difference."""
    return 0.005 if candidate.precision == "int8" else 0.01


@pytest.fixture
def plan(tmp_path: Path) -> ModelPlan:
    """Red, green or blue, as if on OpenVINO."""
    return replace(fake_plan(Card(name="m", file=tmp_path / "m.onnx")), engine="openvino")


@pytest.fixture
def samples(shades: Path) -> Samples:
    return read_samples(shades, labels=("red", "green", "blue"))


async def test_int8_is_kept_where_it_agrees_and_is_faster(plan, samples):
    """Judged on other pictures than it was calibrated on."""
    lab = Lab(quick_int8)
    outcome = await tune(BASE, WISH, lab.bench(plan, samples))
    assert Candidate(precision="int8") == outcome.kept
    judged = outcome.judgements["int8"]
    assert ("", 30, 30) == (judged.refused, judged.agreement.right, judged.accuracy.right)
    assert [*samples.calibrated] == lab.calibrated
    assert pytest.approx(2.0, rel=0.1) == outcome.speeds[outcome.kept].throughput


async def test_int8_that_disagrees_is_never_kept(plan, samples):
    """However fast; and it is not measured at all."""
    lab = Lab(quick_int8, int8_answer=wrong)
    outcome = await tune(BASE, WISH, lab.bench(plan, samples))
    assert BASE == outcome.kept
    assert "something else than f32 for 30 of 30" in outcome.judgements["int8"].refused
    assert {"f32"} == {candidate.precision for candidate in outcome.speeds}


async def test_int8_that_is_no_faster_is_not_kept(plan, samples):
    """Fewer bits must pay."""
    outcome = await tune(BASE, WISH, Lab(lambda _: 0.01).bench(plan, samples))
    assert BASE == outcome.kept
    assert "" == outcome.judgements["int8"].refused


async def test_without_samples_only_f32_is_tried(plan):
    """Layouts and batches alone."""
    lab = Lab(lambda way: 0.01 / way.streams)
    outcome = await tune(BASE, WISH, lab.bench(plan, Samples()))
    assert {"f32"} == {candidate.precision for candidate in lab.made}
    assert Candidate(streams=2) == outcome.kept
    assert "--samples" in outcome.left_out["int8"]
    assert outcome.picture_seconds is None


async def test_too_few_samples_leave_f32(plan, samples):
    """Nineteen to judge by say nothing."""
    few = replace(samples, judged=samples.judged[:19])
    outcome = await tune(BASE, WISH, Lab(quick_int8).bench(plan, few))
    assert "of 19 samples to judge by" in outcome.left_out["int8"]
    few = replace(samples, calibrated=samples.calibrated[:19])
    outcome = await tune(BASE, WISH, Lab(quick_int8).bench(plan, few))
    assert "of 19 pictures to calibrate on" in outcome.left_out["int8"]


async def test_bf16_is_tried_where_the_processor_has_it(plan, samples):
    """By its flags; here it agrees and is the fastest."""
    cost = {"f32": 0.01, "bf16": 0.004, "int8": 0.008}
    lab = Lab(lambda way: cost[way.precision])
    able = Processor(name="Testium", cores=2, flags=frozenset({"avx512_bf16"}))
    outcome = await tune(BASE, WISH, lab.bench(plan, samples, processor=able))
    assert Candidate(precision="bf16") == outcome.kept
    unable = await tune(BASE, WISH, Lab(quick_int8).bench(plan, samples))
    assert "Testium" in unable.left_out["bf16"]


async def test_the_aim_decides_what_counts(plan):
    """Two streams are slower for one picture alone: here, for every picture."""
    lab = Lab(lambda way: 0.005 if way.threads == 1 else 0.01)
    outcome = await tune(BASE, replace(WISH, aim=Aim.LATENCY), lab.bench(plan, Samples()))
    assert (1, Aim.LATENCY) == (outcome.kept.threads, outcome.aim)


async def test_another_engine_has_only_layouts(plan, samples):
    """LiteRT and ONNX Runtime stay in their precision, and take no batch size."""
    lab = Lab(lambda way: 0.01 / way.streams)
    outcome = await tune(BASE, WISH, lab.bench(replace(plan, engine="litert"), samples))
    assert Candidate(streams=2) == outcome.kept
    assert {"bf16", "int8"} == {*outcome.left_out}
    assert {1} == {candidate.batch for candidate in lab.made}


async def test_int8_is_left_out_where_it_is_not_wanted_or_cannot_be(plan, samples):
    """With the reason."""

    def refuse(*_, **__):
        raise UnsupportedModel("NNCF cannot quantise the graph: odd")

    lab = Lab(quick_int8)
    unwanted = await tune(BASE, replace(WISH, int8=False), lab.bench(plan, samples))
    failed = await tune(BASE, WISH, lab.bench(plan, samples, quantise=refuse))
    assert "not wanted" == unwanted.left_out["int8"]
    assert failed.left_out["int8"].endswith("odd")
    assert BASE == failed.kept


async def test_pictures_that_cannot_be_read_are_left_out(plan, samples, tmp_path: Path):
    """They stop nothing; those that are judged are counted."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    files = (replace(samples.judged[0], file=broken), *samples.judged[1:])
    more = Samples(judged=files, calibrated=(broken, *samples.calibrated))
    lab = Lab(quick_int8)
    outcome = await tune(BASE, WISH, lab.bench(plan, more))
    assert 29 == outcome.judgements["int8"].agreement.judged
    assert broken not in lab.calibrated


async def test_a_model_on_another_server_is_refused(plan):
    """There is nothing to tune here."""
    remote = RemoteModel(address="http://127.0.0.1:1", name="m")
    away = replace(plan, card=replace(plan.card, remote=remote))
    with pytest.raises(SettingsError, match="another server"):
        await tune(BASE, WISH, Lab(quick_int8).bench(away, Samples()))


async def test_a_model_on_a_gpu_is_refused(plan):
    """Threads and precisions of the processor would be tuned."""
    with pytest.raises(SettingsError, match="runs on cuda"):
        await tune(BASE, WISH, Lab(quick_int8).bench(replace(plan, device="cuda"), Samples()))
