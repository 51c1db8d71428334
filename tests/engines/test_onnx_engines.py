"""The engines that read ONNX: right numbers, names, batch sizes, limits, files that are bad."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from tintype.engines.catalog import load
from tintype.engines.engine import EngineOptions
from tintype.errors import EngineFailed, ModelFileDamaged, ModelFileTooLarge, UnsupportedModel
from tintype.types import Format, Quantisation, TensorSpec

MAPS = Path("/proc/self/maps")
KERNEL = np.random.default_rng(3).normal(size=(4, 3, 3, 3)).astype(np.float32)


@pytest.fixture(params=["openvino", "onnxruntime"])
def engine_name(request) -> str:
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="the optional engine is not installed")
    return request.param


@pytest.fixture
def convolution(onnx_graph):
    """A convolution with a rectified and a plain output, in that order in the file."""
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["plain"]),
        helper.make_node("Relu", ["plain"], ["rectified"]),
    ]
    return onnx_graph(
        nodes,
        outputs={"rectified": (1, 4, 14, 14), "plain": (1, 4, 14, 14)},
        constants={"kernel": KERNEL},
    )


def noise(rows: int = 1) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, 3, 16, 16)).astype(np.float32)


def test_answers_as_the_reference_of_onnx_does(engine_name, convolution):
    """In float32: a sum of 27 products is within 1e-5, bfloat16 would be a hundred times off."""
    engine = load(convolution, engine=engine_name)
    reference = ReferenceEvaluator(onnx.load_model_from_string(convolution.source))
    expected = reference.run(["rectified", "plain"], {"x": noise()})

    answers = engine.run(noise())

    assert "f32" == engine.precision
    for want, got in zip(expected, answers, strict=True):
        np.testing.assert_allclose(want, got, rtol=0, atol=1e-5)


def test_outputs_come_in_the_order_asked_for(engine_name, convolution):
    """The order of the graph value counts, not that of the file; one may be left out."""
    turned = replace(convolution, outputs=convolution.outputs[::-1])
    single = replace(convolution, outputs=convolution.outputs[1:])

    rectified, plain = load(convolution, engine=engine_name).run(noise())
    plain_first, rectified_second = load(turned, engine=engine_name).run(noise())
    (only,) = load(single, engine=engine_name).run(noise())

    assert plain.min() < 0 <= rectified.min()
    np.testing.assert_array_equal(plain, plain_first)
    np.testing.assert_array_equal(rectified, rectified_second)
    np.testing.assert_array_equal(plain, only)


def test_reads_files_as_it_reads_bytes(engine_name, convolution, tmp_path):
    """The same graph on disk gives the same answers."""
    path = tmp_path / "model.onnx"
    path.write_bytes(convolution.source)

    expected = load(convolution, engine=engine_name).run(noise())
    answers = load(replace(convolution, source=path), engine=engine_name).run(noise())

    np.testing.assert_array_equal(expected[0], answers[0])


def test_reads_weights_kept_in_a_file_beside_the_graph(engine_name, convolution, tmp_path):
    """ONNX calls this external data."""
    model = onnx.load_model_from_string(convolution.source)
    path = tmp_path / "model.onnx"
    onnx.save_model(
        model, path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )

    expected = load(convolution, engine=engine_name).run(noise())
    answers = load(replace(convolution, source=path), engine=engine_name).run(noise())

    np.testing.assert_array_equal(expected[0], answers[0])


def test_an_unknown_output_is_told_by_name(engine_name, convolution):
    """With the names there are."""
    wrong = replace(
        convolution,
        outputs=(TensorSpec(name="nowhere", shape=(1,)), *convolution.outputs),
    )

    with pytest.raises((ModelFileDamaged, UnsupportedModel, EngineFailed), match="nowhere"):
        load(wrong, engine=engine_name).run(noise())


def test_a_fixed_batch_is_kept_where_rows_depend_on_each_other(engine_name, onnx_graph):
    """Each row minus the largest of the batch: alone, every row would be 0."""
    graph = onnx_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("ReduceMax", ["flat", "first"], ["most"], keepdims=1),
            helper.make_node("Sub", ["flat", "most"], ["y"]),
        ],
        shape=(4, 3, 16, 16),
        outputs={"y": (4, 3)},
        constants={"first": np.array([0], np.int64)},
    )

    engine = load(graph, engine=engine_name)
    (answer,) = engine.run(noise(4))

    assert 4 == engine.batch_size
    assert (4, 16) == (engine.outputs[0].shape[0], engine.input.shape[2])
    means = noise(4).mean(axis=(2, 3))
    np.testing.assert_allclose(means - means.max(axis=0), answer, rtol=0, atol=1e-5)


def test_a_part_of_a_fixed_batch_is_filled_up_and_cut_off(engine_name, onnx_graph):
    """Six pictures through a batch of four: two runs, six rows, the filling is not seen."""
    graph = onnx_graph(
        [
            helper.make_node("Reshape", ["x", "rows"], ["flat"]),
            helper.make_node("ReduceMean", ["flat", "last"], ["y"], keepdims=1),
        ],
        shape=(4, 3, 16, 16),
        outputs={"y": (4, 1)},
        constants={"rows": np.array([4, 768], np.int64), "last": np.array([1], np.int64)},
    )

    engine = load(graph, engine=engine_name)
    (answer,) = engine.run(noise(6))

    np.testing.assert_allclose(
        noise(6).reshape(6, -1).mean(axis=1, keepdims=True), answer, rtol=0, atol=1e-6
    )


def test_an_output_without_a_batch_axis_becomes_that_pictures_row(engine_name, onnx_graph):
    """Graphs for one picture sometimes drop the axis."""
    graph = onnx_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Reshape", ["pooled", "three"], ["y"]),
        ],
        outputs={"y": (3,)},
        constants={"three": np.array([3], np.int64)},
    )

    (answer,) = load(graph, engine=engine_name).run(noise(2))

    np.testing.assert_allclose(noise(2).mean(axis=(2, 3)), answer, rtol=0, atol=1e-6)


def test_outputs_are_dequantised(engine_name, convolution):
    """``(stored - zero_point) * scale`` in float32."""
    quantised = replace(
        convolution,
        outputs=(
            replace(convolution.outputs[1], quantisation=Quantisation(scale=0.5, zero_point=3)),
        ),
    )

    plain = load(convolution, engine=engine_name).run(noise())[1]
    (real,) = load(quantised, engine=engine_name).run(noise())

    np.testing.assert_allclose((plain - 3) * 0.5, real, rtol=0, atol=2e-2 * np.abs(plain).max())


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "Pad", "Resize"])
def test_a_small_file_that_declares_huge_tensors_is_refused(engine_name, onnx_graph, kind):
    """Ten thousand million numbers are never made: the limit is checked before compiling."""
    side = 100_000
    node, shape = {
        "ConstantOfShape": (helper.make_node(kind, ["to"], ["big"]), [1, 3, side, side]),
        "Expand": (helper.make_node(kind, ["one", "to"], ["big"]), [1, 3, side, side]),
        "Pad": (helper.make_node(kind, ["x", "to"], ["big"]), [0, 0, side, side, 0, 0, 0, 0]),
        "Resize": (helper.make_node(kind, ["x", "", "", "to"], ["big"]), [1, 3, side, side]),
    }[kind]
    graph = onnx_graph(
        [
            node,
            helper.make_node("GlobalAveragePool", ["big"], ["small"]),
            helper.make_node("GlobalAveragePool", ["x"], ["picture"]),
            helper.make_node("Add", ["small", "picture"], ["sum"]),
            helper.make_node("Flatten", ["sum"], ["y"]),
        ],
        outputs={"y": (1, 3)},
        constants={
            "to": np.array(shape, np.int64),
            "one": np.ones((1, 3, 1, 1), np.float32),
        },
    )

    with pytest.raises(ModelFileTooLarge, match="declares tensors") as refusal:
        load(graph, engine=engine_name, options=EngineOptions(max_activation_bytes=1 << 30))

    assert 1 << 30 == refusal.value.facts["limit"]


def test_the_limit_counts_one_picture(engine_name, convolution):
    """A graph just below passes; below it by a byte, it does not."""
    need = 4 * (3 * 16 * 16 + 2 * 4 * 14 * 14)

    load(convolution, engine=engine_name, options=EngineOptions(max_activation_bytes=need))
    with pytest.raises(ModelFileTooLarge):
        load(convolution, engine=engine_name, options=EngineOptions(max_activation_bytes=need - 1))


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_graph_cut_short_is_refused_in_words(engine_name, convolution, keep):
    """No error of a library escapes."""
    with pytest.raises((UnsupportedModel, ModelFileDamaged)):
        load(replace(convolution, source=convolution.source[:keep]), engine=engine_name)


def test_a_missing_file_is_refused_in_words(engine_name, convolution, tmp_path):
    """It may have gone between reading and loading."""
    with pytest.raises(UnsupportedModel):
        load(replace(convolution, source=tmp_path / "gone.onnx"), engine=engine_name)


def test_an_operation_nobody_knows_is_refused_by_name(engine_name, onnx_graph):
    """The engine's words name it."""
    graph = onnx_graph(
        [
            helper.make_node("Frobnicate", ["x"], ["odd"], domain="org.example"),
            helper.make_node("Relu", ["odd"], ["y"]),
        ],
        outputs={"y": (1, 3, 16, 16)},
    )

    with pytest.raises(UnsupportedModel, match="Frobnicate"):
        load(graph, engine=engine_name)


def test_openvino_is_fed_in_the_middle_of_a_graph(convolution):
    """The tensor ``plain`` is given, and what comes before it is not run."""
    middle = replace(
        convolution,
        input=TensorSpec(name="plain", shape=(1, 4, 14, 14)),
        outputs=convolution.outputs[:1],
    )
    given = np.random.default_rng(0).normal(size=(2, 4, 14, 14)).astype(np.float32)

    (answer,) = load(middle, engine="openvino").run(given)

    np.testing.assert_array_equal(np.maximum(given, 0), answer)


def test_openvino_reads_its_own_files(convolution, tmp_path):
    """An .xml with its .bin."""
    openvino = pytest.importorskip("openvino")
    (tmp_path / "model.onnx").write_bytes(convolution.source)
    openvino.save_model(
        openvino.Core().read_model(tmp_path / "model.onnx"),
        tmp_path / "model.xml",
        compress_to_fp16=False,
    )
    graph = replace(convolution, format=Format.OPENVINO_IR, source=tmp_path / "model.xml")

    expected = load(convolution, engine="openvino").run(noise())

    np.testing.assert_array_equal(expected[0], load(graph).run(noise())[0])


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells what a process has mapped")
def test_no_file_of_weights_stays_mapped(convolution, tmp_path):
    """A mapped file that is written over while it is served would end the process."""
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "weights.xml"
    model = openvino.convert_model(io.BytesIO(convolution.source))
    openvino.save_model(model, path, compress_to_fp16=False)
    graph = replace(convolution, format=Format.OPENVINO_IR, source=path)

    engine = load(graph)

    assert str(path.with_suffix(".bin")) not in MAPS.read_text()
    engine.close()
