"""Our messages of TensorFlow Serving against the official generated ones."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.wire.protobuf import ProtobufError, encode
from tintype.wire.tensorflow_serving import (
    METADATA,
    PREDICT,
    STATUS,
    End,
    ModelSpec,
    VersionStatus,
    metadata_request,
    numbers_or_texts,
    predict_request,
    read_metadata_response,
    read_predict_response,
    read_status_response,
    status_request,
)
from tintype.wire.tensors import tensor_parts

tf = pytest.importorskip("tensorflow", reason="the reference framework is not installed")
apis = pytest.importorskip("tensorflow_serving.apis", reason="the official messages are missing")

from tensorflow.core.protobuf import meta_graph_pb2  # noqa: E402 - after the check that it is there
from tensorflow_serving.apis import (  # noqa: E402 - see above
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_service_pb2,
)

SPECS = [
    (ModelSpec(name="pets"), {}),
    (ModelSpec(name="pets", version=3), {"version": {"value": 3}}),
    (ModelSpec(name="pets", version=0), {"version": {"value": 0}}),
    (ModelSpec(name="häuser", label="stable"), {"version_label": "stable"}),
]


def test_the_methods_are_the_official_ones():
    """Service and method names as the official descriptors say."""
    named = [
        f"/{service.full_name}/{method.name}"
        for module, service_name in (
            (prediction_service_pb2, "PredictionService"),
            (model_service_pb2, "ModelService"),
        )
        for service in [module.DESCRIPTOR.services_by_name[service_name]]
        for method in service.methods
    ]
    assert [] == [method for method in (PREDICT, METADATA, STATUS) if method not in named]


@pytest.mark.parametrize(("spec", "more"), SPECS)
def test_a_model_is_named_as_officially(spec: ModelSpec, more: dict):
    """Name, version and label are read back by the official message, and nothing else is."""
    official = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": spec.name, **more})
    read = get_model_status_pb2.GetModelStatusRequest.FromString(status_request(spec))
    assert official == read


def test_metadata_is_asked_as_officially():
    """The one field that exists."""
    official = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec={"name": "pets"}, metadata_field=["signature_def"]
    )
    request = metadata_request(ModelSpec(name="pets"))
    assert official == get_model_metadata_pb2.GetModelMetadataRequest.FromString(request)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8", "int32", "int64", "float16"])
def test_numbers_go_out_as_officially(dtype: str):
    """The official reader makes the very array of them."""
    array = (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)
    request = predict_pb2.PredictRequest.FromString(
        predict_request(
            ModelSpec(name="pets", version=2),
            signature="serving_default",
            inputs={"x": tensor_parts(array)},
            outputs=["scores"],
        )
    )
    expected = predict_pb2.PredictRequest(output_filter=["scores"])
    expected.model_spec.name, expected.model_spec.signature_name = "pets", "serving_default"
    expected.model_spec.version.value = 2
    expected.inputs["x"].CopyFrom(tf.make_tensor_proto(array))
    assert expected == request
    np.testing.assert_array_equal(array, tf.make_ndarray(request.inputs["x"]))


def test_pictures_go_out_as_officially():
    """A string tensor of encoded pictures."""
    pictures = np.array([b"\xff\xd8one", b"\x89PNG\x00"], dtype=object)
    request = predict_pb2.PredictRequest.FromString(
        predict_request(
            ModelSpec(name="pets"),
            signature="",
            inputs={"image_bytes": tensor_parts(pictures)},
            outputs=[],
        )
    )
    expected = tf.make_tensor_proto([b"\xff\xd8one", b"\x89PNG\x00"])
    assert expected == request.inputs["image_bytes"]


def answered(**outputs: object) -> memoryview:
    response = predict_pb2.PredictResponse(model_spec={"name": "pets"})
    for name, proto in outputs.items():
        response.outputs[name].CopyFrom(proto)
    return memoryview(response.SerializeToString())


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8"])
@pytest.mark.parametrize("listed", [False, True], ids=["content", "listed"])
def test_answers_are_read_as_officially(dtype: str, *, listed: bool):
    """Bytes or lists of values: TensorFlow Serving sends lists unless told otherwise."""
    array = np.array([[0, 1, 2], [3, 4, 5]], dtype=dtype)
    proto = tf.make_tensor_proto(array)
    if listed:
        field = {"float32": "float_val", "float64": "double_val", "int64": "int64_val"}.get(dtype)
        if field is None:
            field = "half_val" if dtype == "float16" else "int_val"
        stored = array.view(np.uint16) if dtype == "float16" else array
        proto.ClearField("tensor_content")
        getattr(proto, field)[:] = stored.reshape(-1).tolist()
    (read,) = read_predict_response(answered(scores=proto)).values()
    np.testing.assert_array_equal(array, numbers_or_texts(read, max_elements=100))


def test_texts_are_read_as_officially():
    """Names of classes, one for each score."""
    read = read_predict_response(answered(classes=tf.make_tensor_proto([["cat", "dög"]])))
    expected = [[b"cat", "dög".encode()]]
    assert expected == numbers_or_texts(read["classes"], max_elements=10).tolist()


def test_the_signatures_are_read_as_officially():
    """Names, dtypes, free axes, unknown rank and method."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    signature = signatures.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    signature.inputs["x"].CopyFrom(info("x:0", tf.float32, [None, 224, 224, 3]))
    signature.inputs["scalar"].CopyFrom(info("s:0", tf.bool, []))
    signature.outputs["y"].CopyFrom(info("y:0", tf.string, None))
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(signatures)
    read = read_metadata_response(memoryview(response.SerializeToString()))["serving_default"]
    assert "tensorflow/serving/predict" == read.method
    assert {"y": End(dtype="string", shape=None)} == read.outputs
    assert {
        "x": End(dtype="float32", shape=(None, 224, 224, 3)),
        "scalar": End(dtype="bool", shape=()),
    } == read.inputs


def info(name: str, dtype, sides: list[int | None] | None):
    made = meta_graph_pb2.TensorInfo(name=name, dtype=dtype.as_datatype_enum)
    made.tensor_shape.CopyFrom(tf.TensorShape(sides).as_proto())
    return made


def test_the_status_is_read_as_officially():
    """Every version with its state and what went wrong."""
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(version=2, state="AVAILABLE")
    bad = response.model_version_status.add(version=1, state="END")
    bad.status.error_code, bad.status.error_message = 5, "no space left"
    assert (
        VersionStatus(version=2, state="AVAILABLE"),
        VersionStatus(version=1, state="END", message="no space left"),
    ) == read_status_response(memoryview(response.SerializeToString()))


@pytest.mark.parametrize(
    "message",
    [b"\xff", encode(1, b"\x0a\x05ab"), encode(1, 7), encode(2, b"\x12\x7f")],
    ids=["no field", "cut short", "a number", "no signatures"],
)
def test_garbage_is_no_message(message: bytes):
    """What is no message is refused, never half read."""
    for read in (read_predict_response, read_metadata_response, read_status_response):
        if read is read_predict_response and message[:1] == b"\x12":
            continue  # another field, which this message may have
        if read is read_status_response and message[:1] == b"\x12":
            continue
        with pytest.raises(ProtobufError):
            read(memoryview(message))


def test_more_values_than_allowed_are_not_made():
    """The limit holds before anything is allocated."""
    proto = tf.make_tensor_proto(np.float32(1), shape=[1 << 20, 1 << 20])
    read = read_predict_response(answered(scores=proto))
    with pytest.raises(ProtobufError, match="at most 1000"):
        numbers_or_texts(read["scores"], max_elements=1000)
