"""A converted file is served as the file it was made of: same recipe, labels and scores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tintype
from tintype.engines.catalog import load
from tintype.errors import ModelFileDamaged, ModelFileError, UnsupportedModel
from tintype.imaging.presets import PRESETS
from tintype.imaging.recipe import parse_recipe, parse_recipe_text, settings_of
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.onnx_properties import with_properties
from tintype.models.card import bare_card
from tintype.models.convert import Converted, convert
from tintype.models.library import find_cards
from tintype.models.plan import ModelPlan, plan_model
from tintype.predict import PredictRequest
from tintype.settings import Settings
from tintype.types import Task
from tintype.wiring.running import running

onnx = pytest.importorskip("onnx")
DEMO = Path(tintype.__file__).parent / "demo/models"


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Callable[[str], tuple[ModelPlan, Converted]]:
    """The plan of a bundled model, and its converted file."""
    made: dict[str, tuple[ModelPlan, Converted]] = {}

    def get(name: str) -> tuple[ModelPlan, Converted]:
        if name not in made:
            plan = plan_model(find_cards((DEMO / name,))[0])
            made[name] = plan, convert(plan, tmp_path_factory.mktemp("out") / "made.onnx")
        return made[name]

    return get


@pytest.fixture(scope="module")
def picture() -> bytes:
    import io

    grain = np.random.default_rng(4).integers(0, 256, (70, 90, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(grain).resize((300, 200)).save(file, "PNG")
    return file.getvalue()


def scores_of(plan: ModelPlan, picture: bytes) -> list[tuple[str, float]]:
    async def ask() -> list[tuple[str, float]]:
        async with running((plan,), settings=Settings(), left_out=pytest.fail) as services:
            asked = PredictRequest(image=picture, points=(), top=1000, threshold=0)
            found = (await services.predictor.predict(asked)).results[0].labels or ()
        return sorted((one.label, one.score) for one in found)

    return asyncio.run(ask())


@pytest.mark.parametrize("name", ["cats-dogs", "colours"])
def test_served_again_it_is_the_same(demo, picture: bytes, name: str):
    """Recipe (told, no guess), labels and scores."""
    before, written = demo(name)
    after = plan_model(bare_card(written.path))

    assert (before.recipe, before.labels, False) == (
        after.recipe,
        after.labels,
        after.recipe_is_guess,
    )
    assert "because the file carries this recipe" in after.recipe_reasons[0]
    expected, actual = scores_of(before, picture), scores_of(after, picture)
    assert [label for label, _ in expected] == [label for label, _ in actual]
    np.testing.assert_allclose(
        [score for _, score in actual], [score for _, score in expected], rtol=0, atol=1e-6
    )


def test_onnx_runtime_answers_the_same(demo):
    """Another runtime, the same numbers."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    plan, written = demo("cats-dogs")
    spec = plan.description.graph.input
    batch = np.random.default_rng(1).uniform(0, 255, (3, *spec.shape[1:])).astype(spec.dtype)
    engine = load(plan.description.graph)
    expected = np.concatenate([engine.run(row[np.newaxis])[0] for row in batch])
    engine.close()

    actual = runtime.InferenceSession(written.path).run(None, {spec.name: batch})[0]

    np.testing.assert_allclose(actual, expected.reshape(actual.shape), rtol=0, atol=1e-6)


def test_the_file_is_sound_and_says_what_it_was(demo):
    """The full check of onnx, and every property."""
    plan, written = demo("colours")
    model = onnx.load(written.path)
    onnx.checker.check_model(model, full_check=True)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert ["classify", "keras-zip", "keras", "NHWC", "3"] == [
        properties[f"tintype.{key}"] for key in ("task", "format", "source", "layout", "channels")
    ]
    assert list(plan.labels) == json.loads(properties["tintype.labels"])
    assert plan.description.writer == properties["tintype.writer"]
    assert written.size == written.path.stat().st_size


def test_converted_again_nothing_changes(demo, tmp_path: Path):
    """ONNX to ONNX: the graph to the byte, each property once."""
    plan, written = demo("colours")
    again = convert(plan_model(bare_card(written.path)), tmp_path / "again.onnx")
    first, second = onnx.load(written.path), onnx.load(again.path)
    assert first.graph == second.graph
    keys = [entry.key for entry in second.metadata_props]
    assert len(keys) == len(set(keys))
    assert plan_model(bare_card(again.path)).recipe == plan.recipe


def test_what_a_person_says_is_written(demo, tmp_path: Path):
    """Recipe and labels of the card go before those found."""
    _, written = demo("colours")
    names = tuple(f"tone {number}, №" for number in range(18))
    said = {"preset": "keras-caffe", "view": {"kind": "pixels", "size": 9}}
    card = replace(bare_card(written.path), class_names=names, recipe=said)
    plan = plan_model(card)
    after = plan_model(bare_card(convert(plan, tmp_path / "said.onnx").path))
    assert (plan.recipe, names[: len(plan.labels)]) == (after.recipe, after.labels)


def test_made_up_labels_are_not_written(tmp_path: Path):
    """Nobody named the classes, so the file does not either, and that is said."""
    source = tmp_path / "colours.keras"
    source.write_bytes((DEMO / "colours/model.keras").read_bytes())
    plan = plan_model(bare_card(source))
    written = convert(plan, tmp_path / "out.onnx")
    properties = {entry.key for entry in onnx.load(written.path).metadata_props}
    in_file = plan.labels_source != "none"
    assert in_file == ("tintype.labels" in properties)
    assert in_file != any("--labels" in remark for remark in written.remarks)


def test_a_guess_is_told(demo, tmp_path: Path):
    """What is a guess now looks like knowledge later: a remark says so."""
    plan, _ = demo("colours")
    guessed = replace(plan, recipe_is_guess=True)
    assert any("guess" in remark for remark in convert(guessed, tmp_path / "g.onnx").remarks)


def test_a_file_is_not_written_over(demo, tmp_path: Path):
    """Refused with --force named; with force it is replaced, and nothing is left beside it."""
    plan, _ = demo("colours")
    out = tmp_path / "there.onnx"
    out.write_bytes(b"mine")
    with pytest.raises(ModelFileError, match="there already") as caught:
        convert(plan, out)
    assert "--force" in (caught.value.hint or "")
    assert b"mine" == out.read_bytes()
    convert(plan, out, force=True)
    assert ["there.onnx"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("place", ["missing/out.onnx", "."])
def test_a_place_that_cannot_be_written(demo, tmp_path: Path, place: str):
    """A folder that is not there, and a folder."""
    plan, _ = demo("colours")
    with pytest.raises(ModelFileError, match="folder"):
        convert(plan, tmp_path / place, force=True)


def test_other_formats_are_refused_in_words(data_folder: Path, tmp_path: Path):
    """TFLite is named, and what else would do."""
    plan = plan_model(bare_card(data_folder / "models/imagenet-mobilenet-v1-float/model.tflite"))
    with pytest.raises(UnsupportedModel, match="tflite") as caught:
        convert(plan, tmp_path / "out.onnx")
    assert "tf2onnx" in (caught.value.hint or "")
    assert [] == list(tmp_path.iterdir())


def test_weights_beside_are_taken_in(demo, tmp_path: Path):
    """One file stands alone, wherever it is put."""
    plan, written = demo("colours")
    folder = tmp_path / "parts"
    folder.mkdir()
    onnx.save(
        onnx.load(written.path),
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    whole = convert(plan_model(bare_card(folder / "model.onnx")), tmp_path / "whole.onnx")
    (folder / "weights.bin").unlink()
    again = plan_model(bare_card(whole.path))
    assert (plan.labels, Task.CLASSIFY) == (again.labels, again.task)
    load(again.description.graph).close()


def test_the_output_asked_for_is_kept(tmp_path: Path):
    """Of two outputs the one that was named, without naming it again."""
    helper = pytest.importorskip("onnx.helper")
    weights = np.random.default_rng(0).normal(size=(3, 192)).astype(np.float32)
    tensors = [helper.make_tensor("w", 1, (192, 3), weights.T.tobytes(), raw=True)]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["plain"]),
            helper.make_node("Softmax", ["plain"], ["soft"]),
        ],
        "two",
        [info("x", 1, ("N", 8, 8, 3))],
        [info("soft", 1, ("N", 3)), info("plain", 1, ("N", 3))],
        tensors,
    )
    source = tmp_path / "two.onnx"
    opset = [helper.make_opsetid("", 17)]
    source.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )
    card = replace(bare_card(source), read=ReadOptions(output="plain"))
    written = convert(plan_model(card), tmp_path / "out.onnx")
    assert "soft" == plan_model(bare_card(source)).description.graph.outputs[0].name
    assert "plain" == plan_model(bare_card(written.path)).description.graph.outputs[0].name


@pytest.mark.parametrize("preset", [*PRESETS])
def test_every_preset_comes_back_whole(preset: str):
    """Settings kept of a recipe make the same recipe, alone and changed."""
    for text in (preset, f"{preset},values=mean-std,mean=1,std=2,orientation=ignore,fraction=0.5"):
        recipe = parse_recipe_text(text)
        assert recipe == parse_recipe(json.loads(json.dumps(settings_of(recipe))))


def test_properties_are_replaced_and_others_kept():
    """By key; what a stranger wrote stays, in whatever order the fields lie."""
    model = onnx.ModelProto(ir_version=8, producer_name="p")
    model.metadata_props.add(key="a", value="1")
    model.metadata_props.add(key="b", value="2")
    content = model.SerializeToString() + onnx.ModelProto(domain="d").SerializeToString()
    changed = onnx.load_from_string(with_properties(content, {"a": "3", "c": "ü\ud800"}))
    assert {"a": "3", "b": "2", "c": "ü?"} == {e.key: e.value for e in changed.metadata_props}
    assert ("p", "d", 8) == (changed.producer_name, changed.domain, changed.ir_version)


def test_bytes_that_are_no_protobuf_are_told():
    """Never half a file."""
    with pytest.raises(ModelFileDamaged):
        with_properties(b"\x0a\xff", {"a": "b"})
