"""From a card to a plan: labels, recipe, size and engine, each with its reason."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tintype.errors import CardError, SettingsError, UnsupportedModel
from tintype.imaging.recipe import parse_recipe_text
from tintype.models.card import Card, InputSize, Tuned
from tintype.models.plan import plan_model
from tintype.types import Task

MakeCard = Callable[..., Card]


def small_onnx(path: Path, side: int | None, classes: int = 3) -> Path:
    """A convolution, a pool and a softmax on N x 3 x side x side."""
    rng = np.random.default_rng(0)
    weights = {"k": rng.normal(size=(4, 3, 3, 3)), "d": rng.normal(size=(4, classes))}
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["conv"]),
        helper.make_node("GlobalAveragePool", ["conv"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("MatMul", ["flat", "d"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    shape = ["n", 3, side or "h", side or "w"]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


@pytest.fixture
def card(tmp_path: Path) -> MakeCard:
    def make(*, side: int | None = 32, **said: object) -> Card:
        return Card(name="small", file=small_onnx(tmp_path / "small.onnx", side), **said)

    return make


def test_labels_beside_the_file_are_found(card: MakeCard, tmp_path: Path):
    """labels.txt in the same folder needs no flag."""
    made = card()
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\n")
    plan = plan_model(made)
    assert (("cat", "dog", "bird"), ()) == (plan.labels, plan.warnings)
    assert "labels.txt" in plan.labels_source


def test_names_in_the_card_go_before_all(card: MakeCard, tmp_path: Path):
    """class_names of the card win over a file beside the model."""
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\n")
    assert ("a", "b", "c") == plan_model(card(class_names=("a", "b", "c"))).labels


def test_no_labels_are_numbered_and_hinted(card: MakeCard):
    """Class 0 and so on, and the flag that names them."""
    plan = plan_model(card())
    assert ("class 0", "class 1", "class 2") == plan.labels
    assert any("--labels" in warning for warning in plan.warnings)


def test_a_count_that_does_not_fit_is_said(card: MakeCard):
    """Two labels for three classes."""
    plan = plan_model(card(class_names=("a", "b")))
    assert 3 == len(plan.labels)
    assert any("2 labels" in warning for warning in plan.warnings)


def test_a_guess_is_called_a_guess_with_the_line_that_overrides_it(card: MakeCard):
    """An untrained graph tells nothing: what is chosen is a guess."""
    plan = plan_model(card())
    assert plan.recipe_is_guess
    assert plan.recipe_override.startswith("--recipe ")


def test_the_flag_that_overrides_a_guess_holds_a_recipe(card: MakeCard):
    """Typed into a shell, it arrives as one word that names a recipe."""
    flag, text = shlex.split(plan_model(card()).recipe_override)
    assert "--recipe" == flag
    assert "torchvision" == parse_recipe_text(text).preset


def test_an_engine_that_cannot_read_the_file_is_refused_before_loading(card: MakeCard):
    """No engine is promised by inspect that serve refuses."""
    with pytest.raises(UnsupportedModel, match="cannot read onnx"):
        plan_model(card(engine="litert"))


def test_an_engine_that_is_not_known_is_refused_before_loading(card: MakeCard):
    """The known ones are named."""
    with pytest.raises(SettingsError, match="no engine 'tensorflow'"):
        plan_model(card(engine="tensorflow"))


def test_a_size_that_the_file_does_not_take_is_refused(card: MakeCard):
    """A file of 32 x 32 cannot be fed 64 x 96, and leaving the card's word aside would hide it."""
    with pytest.raises(CardError, match="takes 32 x 32 only"):
        plan_model(card(size=InputSize(height=64, width=96)))


def test_a_preset_in_the_card_is_the_recipe(card: MakeCard):
    """Said is said: no guess, no other evidence."""
    plan = plan_model(card(recipe={"preset": "keras-caffe"}))
    assert ("keras-caffe", "caffe", False) == (
        plan.recipe.preset,
        plan.recipe.values.op,
        plan.recipe_is_guess,
    )


def test_single_choices_change_what_was_found(card: MakeCard):
    """Without a preset, the card's choices lie on top of the found recipe."""
    found, changed = plan_model(card()), plan_model(card(recipe={"values": "x/127.5-1"}))
    assert (found.recipe.preset, "x/127.5-1") == (changed.recipe.preset, changed.recipe.values.op)


def test_the_view_of_the_card_is_in_the_recipe(card: MakeCard):
    """Which part of the picture the model sees."""
    plan = plan_model(card(view={"kind": "pixels", "size": 9}))
    assert ("pixels", 9) == (plan.recipe.view.kind, plan.recipe.view.size)


def test_any_size_becomes_the_usual_one_and_is_said(card: MakeCard):
    """A file that takes any size is fed 224 x 224, with a warning."""
    plan = plan_model(card(side=None, recipe={"preset": "keras-load-img"}))
    assert (224, 224) == (plan.target.height, plan.target.width)
    assert any("is a guess" in warning for warning in plan.warnings)


def test_the_size_of_the_card_is_fed(card: MakeCard):
    """The card knows better."""
    plan = plan_model(card(side=None, size=InputSize(height=64, width=96)))
    assert (64, 96) == (plan.target.height, plan.target.width)


def test_a_task_that_the_file_does_not_do_is_refused(card: MakeCard):
    """A classifier is no detector."""
    with pytest.raises(CardError, match="answers with labels"):
        plan_model(card(task=Task.DETECT))


def test_an_unknown_recipe_is_refused(card: MakeCard):
    """The nearest name is told."""
    with pytest.raises(SettingsError, match="keras-lod-img"):
        plan_model(card(recipe={"preset": "keras-lod-img"}))


@pytest.mark.parametrize(
    ("said", "setting", "engine"),
    [
        (None, "cpu", "openvino"),
        (None, "cuda", "onnxruntime"),
        ("cuda", "cpu", "onnxruntime"),
        ("cpu", "cuda", "openvino"),
    ],
)
def test_the_device_is_the_card_s_or_else_the_setting_s(card: MakeCard, said, setting, engine):
    """And decides the engine."""
    plan = plan_model(card(device=said), device=setting)
    assert (said or setting, engine) == (plan.device, plan.engine)


def test_an_engine_that_is_named_and_has_no_gpu_is_refused(card: MakeCard):
    """Two words that contradict each other."""
    with pytest.raises(UnsupportedModel, match="device cuda"):
        plan_model(card(engine="openvino"), device="cuda")


def test_what_was_tuned_for_the_processor_is_passed_over_on_a_gpu(card: MakeCard):
    """And that is said."""
    plan = plan_model(card(tuned=Tuned(streams=2)), device="cuda")
    assert plan.tuned is None
    assert "runs on cuda" in plan.not_as_tuned
    assert plan.not_as_tuned in plan.warnings
