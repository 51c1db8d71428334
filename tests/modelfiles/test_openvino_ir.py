from __future__ import annotations

import numpy as np
import pytest

from tintype.errors import ModelFileDamaged, ModelFileError, ModelFileTooLarge, NotAnImageModel
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.openvino_ir import describe_ir
from tintype.types import Activation, ClassOutput, Layout

openvino = pytest.importorskip("openvino")
OPTIONS = ReadOptions()


@pytest.fixture
def saved(tmp_path, small_onnx):
    """The small ONNX classifier, saved as IR by OpenVINO itself."""

    def save(*, half=False, info=None, content=small_onnx):
        source = tmp_path / "source.onnx"
        source.write_bytes(content)
        model = openvino.Core().read_model(source)
        for key, value in (info or {}).items():
            model.set_rt_info(value, ["model_info", key])
        openvino.save_model(model, tmp_path / "net.xml", compress_to_fp16=half)
        return tmp_path / "net.xml"

    return save


def test_a_classifier_is_described(saved):
    """Layout by structure, size, free batch, classes, activation, writer."""
    found = describe_ir(saved(), options=OPTIONS)

    assert ("pixels", Layout.NCHW, 8, 8, 3, None) == (
        found.image.tensor.name,
        found.image.layout,
        found.image.height,
        found.image.width,
        found.image.channels,
        found.image.batch,
    )
    assert isinstance(found.output, ClassOutput)
    assert ("scores", 4, Activation.SOFTMAX) == (
        found.output.tensor.name,
        found.output.classes,
        found.output.activation,
    )
    assert found.writer is not None
    assert found.writer.startswith("OpenVINO IR version")


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 1e-3)])
def test_the_first_convolution_is_told(saved, half, tolerance):
    """Kernel and scaling are read from the .bin, in float32 and in float16."""
    evidence = describe_ir(saved(half=half), options=OPTIONS).evidence
    weights = np.random.default_rng(7).normal(size=(4, 3, 3, 3)).astype(np.float32)

    assert evidence.first_layers is not None
    np.testing.assert_allclose(
        weights.transpose(2, 3, 1, 0), evidence.first_layers.kernel, atol=2 * tolerance
    )
    assert evidence.first_layers.rectified
    assert evidence.affine is not None
    np.testing.assert_allclose(evidence.affine.scale, [1 / 255] * 3, rtol=max(tolerance, 1e-6))


def test_channels_last_is_seen_by_the_transpose(saved, onnx_graph, make_nchw_onnx):
    """A graph that turns its input to NCHW is fed NHWC."""
    content = make_nchw_onnx(onnx_graph, transposed=True, batch=2)
    found = describe_ir(saved(content=content), options=OPTIONS)

    assert (Layout.NHWC, 2) == (found.image.layout, found.image.batch)


def test_model_info_gives_labels_and_normalisation(saved):
    """The Model API's keys: labels with blanks between, mean, scale, BGR."""
    info = {
        "labels": "cat red_panda",
        "mean_values": "103.94 116.78 123.68",
        "scale_values": "57.0",
        "reverse_input_channels": "YES",
    }
    found = describe_ir(saved(info=info), options=OPTIONS)

    assert found.labels_in_file == ("cat", "red_panda")
    told = found.evidence.normalisation
    assert told is not None
    assert (told.mean, told.std) == ((103.94, 116.78, 123.68), (57.0, 57.0, 57.0))
    assert told.reversed_channels


def test_preprocessing_inside_the_graph_is_not_done_twice(saved):
    """embedded_processing says that the graph scales by itself."""
    info = {"mean_values": "127.5", "embedded_processing": "True"}

    assert describe_ir(saved(info=info), options=OPTIONS).evidence.normalisation is None


def test_a_missing_bin_is_named(saved):
    """Both files are needed."""
    path = saved()
    path.with_suffix(".bin").unlink()
    with pytest.raises(ModelFileError, match=r"net\.bin, which is not beside it"):
        describe_ir(path, options=OPTIONS)


def test_a_bin_cut_short_is_damaged(saved):
    """Each constant must lie within the file."""
    path = saved()
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ModelFileDamaged, match="cut short"):
        describe_ir(path, options=OPTIONS)


def test_a_constant_that_declares_more_than_it_has_is_damaged(saved):
    """Shape and size must agree."""
    path = saved()
    path.write_text(path.read_text().replace('shape="4, 3, 3, 3"', 'shape="4, 3, 3, 30"'))
    with pytest.raises(ModelFileDamaged, match="size it declares"):
        describe_ir(path, options=OPTIONS)


def test_huge_constants_are_refused(saved):
    """Declared bytes are added up against the limit."""
    path = saved()
    huge = 'shape="4000000, 3000000, 3, 3"'
    path.write_text(path.read_text().replace('shape="4, 3, 3, 3"', huge))
    with pytest.raises(ModelFileTooLarge):
        describe_ir(path, options=OPTIONS)


ENTITIES = '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    "text",
    [
        f"{ENTITIES}<net>&b;</net>",
        "<net><layers></net>",
        "<network/>",
        "<net" + "<a>" * 1000,
    ],
)
def test_xml_that_is_none_is_damaged(write, text):
    """Entities, unclosed elements and other documents are refused."""
    with pytest.raises(ModelFileDamaged):
        describe_ir(write("net.xml", text.encode()), options=OPTIONS)


def test_xml_in_another_encoding_is_damaged(write):
    """UTF-16 would hide entities from the check."""
    with pytest.raises(ModelFileDamaged):
        describe_ir(write("net.xml", "<net/>".encode("utf-16")), options=OPTIONS)


def test_an_empty_net_is_no_image_model(write):
    """No input is said in words."""
    write("net.bin", b"")
    with pytest.raises(NotAnImageModel, match="no input"):
        describe_ir(write("net.xml", b"<net><layers/></net>"), options=OPTIONS)
