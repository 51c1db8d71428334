"""A stand-in for TensorFlow Serving: gRPC and REST over real SavedModels, with faults on demand.

TensorFlow Serving comes as a container image only. This server speaks its two languages, gRPC by
the official generated messages, and runs models with TensorFlow itself. Start it by hand:

    python tests/stand_in/serve.py FOLDER [--grpc-port 8500] [--rest-port 8501]

FOLDER holds models as FOLDER/NAME/VERSION; an empty or absent one is filled with small models (see
``models.py``). One line of JSON on stdout tells the ports when it is ready.

    curl -d '{"kind": "slow", "seconds": 2}' 127.0.0.1:8501/fault     # the next calls are slow
    curl -d '{"kind": "none"}' 127.0.0.1:8501/fault                   # all is well again
    curl 127.0.0.1:8501/seen                                          # what was asked so far

Kinds: ``none``, ``slow``, ``refusing`` (UNAVAILABLE, 503), ``invalid`` (INVALID_ARGUMENT, 400),
``broken`` (INTERNAL, 500), ``wrong-shape``, ``wrong-type``, ``missing``, ``nan``, ``garbage`` (no
message, no JSON), ``dying`` (the process ends in the middle of the answer), ``loading``. With
``times`` only so many calls are hurt.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from models import build

_CODES = {
    "refusing": (grpc.StatusCode.UNAVAILABLE, 503, "the stand-in refuses: it is too busy"),
    "invalid": (grpc.StatusCode.INVALID_ARGUMENT, 400, "the stand-in calls the input invalid"),
    "broken": (grpc.StatusCode.INTERNAL, 500, "the stand-in broke: out of memory in Conv2D"),
}


class Refused(Exception):
    """An error as TensorFlow Serving tells it."""

    def __init__(self, code: grpc.StatusCode, status: int, words: str) -> None:
        super().__init__(words)
        self.code, self.status = code, status


@dataclass
class Faults:
    """What goes wrong, and what was asked so far."""

    kind: str = "none"
    seconds: float = 0.0
    times: int | None = None
    calls: int = 0
    remaining: list[float | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, remaining: float | None, size: int) -> str:
        """The fault of this call. ``slow`` has passed when it returns."""
        with self.lock:
            self.calls += 1
            self.remaining = [*self.remaining[-99:], remaining]
            self.sizes = [*self.sizes[-99:], size]
            kind = self.kind
            if self.times is not None:
                self.times -= 1
                if self.times <= 0:
                    self.kind, self.times = "none", None
        if kind == "slow":
            time.sleep(self.seconds)
        if kind in _CODES:
            raise Refused(*_CODES[kind])
        return kind


class Model:
    """One version of one SavedModel."""

    def __init__(self, folder: Path) -> None:
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = saved.meta_graphs[0].signature_def
        self._loaded = tf.saved_model.load(str(folder))

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a signature as TensorFlow does. Raises Refused for inputs it does not take."""
        name = signature or "serving_default"
        if name not in self._loaded.signatures:
            words = f'Serving signature name: "{name}" not found in signature def'
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, 400, words)
        function = self._loaded.signatures[name]
        wanted = function.structured_input_signature[1]
        if set(inputs) != set(wanted):
            words = f"input keys {sorted(inputs)} are not those expected: {sorted(wanted)}"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, 400, words)
        try:
            fed = {key: tf.constant(value, wanted[key].dtype) for key, value in inputs.items()}
            return {key: value.numpy() for key, value in function(**fed).items()}
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, 400, str(error)[:500]) from error


class Server:
    """The models, and both ways to ask them."""

    def __init__(self, folder: Path) -> None:
        self.faults = Faults()
        self.models = {
            (name.name, int(version.name)): Model(version)
            for name in sorted(folder.iterdir())
            for version in name.iterdir()
            if version.name.isdigit()
        }

    def find(self, name: str, version: int | None) -> tuple[int, Model]:
        """The version asked for, or the newest. Raises Refused."""
        versions = [v for n, v in self.models if n == name and version in (None, v)]
        if not versions:
            what = f"Specific({name}, {version})" if version is not None else f"Latest({name})"
            words = f"Servable not found for request: {what}"
            raise Refused(grpc.StatusCode.NOT_FOUND, 404, words)
        return max(versions), self.models[name, max(versions)]

    def state(self) -> str:
        """AVAILABLE, unless a fault says otherwise."""
        return "LOADING" if self.faults.kind == "loading" else "AVAILABLE"

    # gRPC

    def predict(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """PredictionService.Predict."""
        kind = self.faults.next(context.time_remaining(), len(message))
        if kind == "dying":
            os._exit(1)
        if kind == "garbage":
            return b"\xff\xffthis is no message"
        request = predict_pb2.PredictRequest.FromString(message)
        spec = request.model_spec
        number = spec.version.value if spec.HasField("version") else None
        version, model = self.find(spec.name, number)
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        outputs = hurt(model.run(spec.signature_name, inputs), kind)
        response = predict_pb2.PredictResponse(model_spec={"name": spec.name})
        response.model_spec.version.value = version
        for key in request.output_filter or outputs:
            if key in outputs:
                response.outputs[key].CopyFrom(listed(outputs[key]))
        return response.SerializeToString()

    def metadata(self, message: bytes, _: grpc.ServicerContext) -> bytes:
        """PredictionService.GetModelMetadata."""
        request = get_model_metadata_pb2.GetModelMetadataRequest.FromString(message)
        return self._metadata(request.model_spec).SerializeToString()

    def status(self, message: bytes, _: grpc.ServicerContext) -> bytes:
        """ModelService.GetModelStatus."""
        request = get_model_status_pb2.GetModelStatusRequest.FromString(message)
        return self._status(request.model_spec).SerializeToString()

    def _metadata(self, spec: Any) -> get_model_metadata_pb2.GetModelMetadataResponse:
        number = spec.version.value if spec.HasField("version") else None
        version, model = self.find(spec.name, number)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec={"name": spec.name})
        response.model_spec.version.value = version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _status(self, spec: Any) -> get_model_status_pb2.GetModelStatusResponse:
        number = spec.version.value if spec.HasField("version") else None
        version, _ = self.find(spec.name, number)
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(version=version, state=self.state())
        return response

    # REST

    def get(self, path: str) -> dict[str, Any]:
        """``/v1/models/NAME[/versions/N][/metadata]``, and ``/seen``."""
        if path == "/seen":
            faults = self.faults
            told = ("kind", "calls", "remaining", "sizes")
            return {name: getattr(faults, name) for name in told}
        bare = path.removesuffix("/metadata")
        spec = _spec(bare)
        response = self._metadata(spec) if bare != path else self._status(spec)
        return json_format.MessageToDict(
            response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def post(self, path: str, body: bytes) -> dict[str, Any] | bytes:
        """``/v1/models/NAME[/versions/N]:predict``, and ``/fault``."""
        asked = json.loads(body)
        if path == "/fault":
            faults = self.faults
            faults.kind, faults.seconds = asked["kind"], asked.get("seconds", 0.0)
            faults.times = asked.get("times")
            return asked
        kind = self.faults.next(None, len(body))
        if kind in {"dying", "garbage"}:
            return b'{"predictions": [[0.1, 0.'
        spec = _spec(path.removesuffix(":predict"))
        number = spec.version.value if spec.HasField("version") else None
        _, model = self.find(spec.name, number)
        signature = asked.get("signature_name", "serving_default")
        (name,) = model.signatures[signature].inputs
        rows = [_unpacked(row, name) for row in asked["instances"]]
        outputs = hurt(model.run(signature, {name: np.array(rows)}), kind)
        plain = {key: _plain(value) for key, value in outputs.items()}
        if len(plain) == 1:
            return {"predictions": next(iter(plain.values()))}
        rows = zip(*plain.values(), strict=True)
        return {"predictions": [dict(zip(plain, row, strict=True)) for row in rows]}


def listed(array: np.ndarray) -> Any:
    """A TensorProto with its numbers in a list, as TensorFlow Serving answers by default."""
    if array.dtype != np.float32:
        return tf.make_tensor_proto(array)
    proto = tf.make_tensor_proto(np.float32(0), shape=array.shape)
    proto.float_val[:] = array.reshape(-1).tolist()
    return proto


def hurt(outputs: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The outputs with a fault in them."""
    first = next(iter(sorted(outputs)))
    if kind == "wrong-shape":
        return {**outputs, first: np.concatenate([outputs[first]] * 2, axis=-1)}
    if kind == "wrong-type":
        return {**outputs, first: np.full(outputs[first].shape, b"what", dtype=object)}
    if kind == "missing":
        return {"something": outputs[first], "else": outputs[first]}
    if kind == "nan":
        numbers = {k: v for k, v in outputs.items() if v.dtype == np.float32}
        return {**outputs, **{k: np.full_like(v, np.nan) for k, v in numbers.items()}}
    return outputs


def _spec(path: str) -> Any:
    parts = path.strip("/").split("/")
    if parts[:2] != ["v1", "models"] or len(parts) not in {3, 5}:
        raise Refused(grpc.StatusCode.NOT_FOUND, 404, f"Malformed request: {path}")
    spec = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": parts[2]}).model_spec
    if len(parts) == 5:
        spec.version.value = int(parts[4])
    return spec


def _unpacked(row: Any, name: str) -> Any:
    value = row[name] if isinstance(row, dict) and name in row else row
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"])
    return value


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype == object:
        return [[text.decode() for text in row] for row in array]
    return array.tolist()


def grpc_server(server: Server, port: int) -> tuple[grpc.Server, int]:
    """Serve gRPC; the port that was taken."""

    def handler(method: Callable[[bytes, grpc.ServicerContext], bytes]) -> grpc.RpcMethodHandler:
        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return method(message, context)
            except Refused as refused:
                context.abort(refused.code, str(refused))

        return grpc.unary_unary_rpc_method_handler(answer)  # bytes in, bytes out

    made = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)])
    made.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.PredictionService",
                {"Predict": handler(server.predict), "GetModelMetadata": handler(server.metadata)},
            ),
            grpc.method_handlers_generic_handler(
                "tensorflow.serving.ModelService", {"GetModelStatus": handler(server.status)}
            ),
        )
    )
    taken = made.add_insecure_port(f"127.0.0.1:{port}")
    made.start()
    return made, taken


def rest_server(server: Server, port: int) -> ThreadingHTTPServer:
    """Serve REST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            self._answer(lambda: server.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(lambda: server.post(self.path, body))

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, work: Callable[[], Any]) -> None:
            status = 200
            try:
                told = work()
            except Refused as refused:
                status, told = refused.status, {"error": str(refused)}
            body = told if isinstance(told, bytes) else json.dumps(told).encode()
            dying = isinstance(told, bytes) and server.faults.kind == "dying"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body) + (1000 if dying else 0)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            if dying:
                os._exit(1)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Build what is not there, serve until the process is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grpc-port", type=int, default=8500)
    parser.add_argument("--rest-port", type=int, default=8501)
    asked = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)  # the models are tiny
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not any(asked.folder.iterdir()):
        build(asked.folder)
    server = Server(asked.folder)
    kept, grpc_port = grpc_server(server, asked.grpc_port)
    rest = rest_server(server, asked.rest_port)
    sys.stdout.write(json.dumps({"grpc": grpc_port, "rest": rest.server_address[1]}) + "\n")
    sys.stdout.flush()
    try:
        rest.serve_forever()
    except KeyboardInterrupt:
        kept.stop(None)


if __name__ == "__main__":
    main()
