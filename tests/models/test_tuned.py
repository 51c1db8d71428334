"""Whether what was tuned still holds for a model; and what a server does when it does not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import openvino
import pytest
import structlog

import tintype
from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.errors import CardError
from tintype.models.card import Card, Tuned
from tintype.models.card_reader import read_card
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan, plan_model
from tintype.models.tuned import ends_of, graph_files, recipe_text, sha256_of, tuned_options
from tintype.observers import ModelLog

COLOURS = Path(tintype.__file__).parent / "demo/models/colours"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COLOURS, tmp_path / "colours"))


def in_int8(folder: Path) -> tuple[Card, Tuned]:
    """The card, tuned to a graph that is not in int8 at all: only its content is looked at."""
    card = read_card(folder / "model.toml")
    plan = plan_model(card)
    graph = folder / "model.int8.xml"
    source = plan.description.graph.source
    assert isinstance(source, bytes)
    core = openvino.Core()
    openvino.save_model(core.read_model(source), graph, compress_to_fp16=False)
    tuned = Tuned(
        precision="int8",
        streams=3,
        graph=graph,
        graph_sha256=sha256_of(graph_files(graph)),
        sources=(card.file,),
        sources_sha256=sha256_of([card.file]),
        ends=ends_of(plan.description.graph),
        recipe=recipe_text(plan.recipe),
    )
    return replace(card, tuned=tuned), tuned


def planned(folder: Path, **changes) -> ModelPlan:
    """The plan of the tuned card with these changes to the card."""
    card, _ = in_int8(folder)
    return plan_model(replace(card, **changes))


def test_it_holds_as_long_as_nothing_changed(folder: Path):
    """The plan has it, and nothing to remark."""
    card, tuned = in_int8(folder)
    plan = plan_model(card)
    assert (tuned, "", "int8") == (plan.tuned, plan.not_as_tuned, plan.precision)


def append(path: Path) -> None:
    """One byte more."""
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda folder: append(folder / "model.int8.bin"), "is not the graph that was judged"),
        (lambda folder: (folder / "model.int8.xml").unlink(), "model.int8.xml cannot be read"),
        (lambda folder: (folder / "model.keras").touch(), ""),
    ],
)
def test_a_changed_graph_is_refused(folder: Path, change, why: str):
    """f32 it is, threads and streams stay; that a file was touched is no change."""
    card, _ = in_int8(folder)
    change(folder)
    plan = plan_model(card)
    assert why in plan.not_as_tuned
    assert bool(why) is ("f32" == plan.precision)
    assert 3 == plan.tuned.streams


def test_a_changed_model_file_is_told_loudly(folder: Path):
    """In the plan's warnings, which are printed, served and shown on the page."""
    card, tuned = in_int8(folder)
    stale = replace(tuned, sources_sha256="0" * 64)
    plan = plan_model(replace(card, tuned=stale))
    assert "the model file has changed since it was tuned" in plan.not_as_tuned
    assert plan.not_as_tuned in plan.warnings
    assert "tintype tune" in plan.not_as_tuned


def test_a_card_that_names_another_file_now_is_noticed(folder: Path):
    """The old file may still lie there."""
    other = Path(shutil.copy(folder / "model.keras", folder / "new.keras"))
    assert "not the one that was tuned" in planned(folder, file=other).not_as_tuned


def test_another_recipe_is_noticed(folder: Path):
    """The ranges were found with the old one."""
    plan = planned(folder, recipe={"preset": "keras-load-img"})
    assert "prepared in another way" in plan.not_as_tuned


def test_another_engine_is_noticed(folder: Path):
    """Only OpenVINO reads the graph."""
    pytest.importorskip("onnxruntime")
    assert "runs on onnxruntime" in planned(folder, engine="onnxruntime").not_as_tuned


def test_other_ends_are_noticed(folder: Path):
    """The graph in int8 was cut at the old ones."""
    card, tuned = in_int8(folder)
    plan = plan_model(replace(card, tuned=replace(tuned, ends=("a", "b"))))
    assert "another input or output" in plan.not_as_tuned


def test_a_graph_that_is_none_is_refused(folder: Path):
    """A stranger's card may name any file, with its right hash."""
    card, tuned = in_int8(folder)
    odd = folder / "odd.xml"
    odd.write_text("<net")
    odd.with_suffix(".bin").write_bytes(b"")
    named = replace(tuned, graph=odd, graph_sha256=sha256_of(graph_files(odd)))
    assert "f32" == plan_model(replace(card, tuned=named)).precision


def test_a_device_is_never_read(folder: Path):
    """It would never end."""
    card, tuned = in_int8(folder)
    endless = replace(tuned, sources=(card.file, Path("/dev/zero")))
    assert "no plain file" in plan_model(replace(card, tuned=endless)).not_as_tuned


def test_another_processor_is_remarked(folder: Path):
    """What was fastest there need not be here; it is used all the same."""
    card, tuned = in_int8(folder)
    moved = replace(tuned, evidence={"processor": "Testium, 64 cores"})
    plan = plan_model(replace(card, tuned=moved))
    assert "int8" == plan.precision
    assert any("Testium, 64 cores" in warning for warning in plan.warnings)


def test_the_card_goes_before_the_settings():
    """int8 is the graph's matter, so the engine is asked for f32 beside it."""
    options = EngineOptions(threads=7, precision="bf16", max_activation_bytes=5)
    tuned = Tuned(precision="int8", graph=Path("x"), streams=3, batch=4)
    assert EngineOptions(streams=3, batch=4, max_activation_bytes=5) == tuned_options(
        options, tuned
    )
    assert options == tuned_options(options, None)


def host_of(plan: ModelPlan, options: EngineOptions | None = None) -> ModelHost:
    """Not entered."""
    return ModelHost(plan, policy=BatchPolicy(), options=options or EngineOptions())


async def test_a_host_loads_the_graph_of_the_card(folder: Path):
    """With the card's streams; unless the settings want no card's word on it."""
    plan = planned(folder)
    async with host_of(plan) as host, host_of(plan, EngineOptions(tuned=False)) as without:
        assert 3 == host._engine.streams
        assert 3 != without._engine.streams


async def test_a_graph_that_cannot_be_loaded_is_served_in_f32_and_logged(folder: Path):
    """It was whole, and it is no graph of this model."""
    card, tuned = in_int8(folder)
    plan = plan_model(card)
    tuned.graph.write_text("<net/>")
    async with host_of(plan) as host:
        with structlog.testing.capture_logs() as logs:
            ModelLog().loaded(host, seconds=0.1)
        assert ("f32", "f32") == (host.precision, host.info().precision)
    assert any("not run in int8 but in f32" in warning for warning in host.info().warnings)
    assert ["model loaded", "model not run as tuned"] == [line["event"] for line in logs]


async def test_bf16_where_the_processor_has_none_is_told(folder: Path):
    """The engine's word counts, not the card's."""
    card, tuned = in_int8(folder)
    half = replace(tuned, precision="bf16", graph=None)
    async with host_of(plan_model(replace(card, tuned=half))) as host:
        assert ("bf16" == host.precision) is not bool(host.plan.not_as_tuned)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('precision = "f8"', "'tuned.precision' must be one of f32, bf16, int8"),
        ('precision = "int8"', "'tuned.graph'"),
        ('graph = "m.xml"', "'tuned.graph'"),
        ("streams = -1", "'streams'"),
        ("batch = 0", "'batch'"),
        ('precission = "f32"', "did you mean 'precision'"),
    ],
)
def test_what_a_card_may_not_say(tmp_path: Path, table: str, said: str):
    """Refused with the key."""
    (tmp_path / "model.toml").write_text(f'file = "m.onnx"\n[tuned]\n{table}\n')
    with pytest.raises(CardError) as caught:
        read_card(tmp_path / "model.toml")
    assert said in str(caught.value)
