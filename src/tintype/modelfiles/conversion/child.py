"""The process that loads a Keras file with the framework itself, code and all.

Started by ``convert`` as ``python -m tintype.modelfiles.conversion.child REQUEST.json``; it shuts
itself in, loads the model with Keras 3, else with tf_keras, freezes it into one graph, compares
the graph's answers with the framework's own, and writes ``result.json`` beside the graph.

The frameworks are named in texts only: nothing in Tintype imports them but this process.
"""

from __future__ import annotations

import builtins
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tintype.modelfiles.conversion.shield import Allowance, limit_use, shut_in

FRAMEWORKS = ("keras", "tf_keras")
_USUAL_SIDE = 64


def main(request_file: str) -> int:
    """Do what the request says; 0 where a graph was written, else 1 with the reason in the result.

    The request: ``model`` (path), ``folder`` (to write into), ``output`` (name or null) and the
    numbers of ``Allowance``.
    """
    request = json.loads(Path(request_file).read_text("utf-8"))
    folder, model = Path(request["folder"]).resolve(), Path(request["model"]).resolve()
    limit_use(Allowance(**request["allowance"]))
    shield = shut_in(readable=model, folder=folder)
    try:
        result = {**_convert(model, folder, request["output"]), "shield": shield}
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        result = {"error": f"{type(error).__name__}: {str(error)[:2000]}"}
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    return 1 if "error" in result else 0


def _convert(path: Path, folder: Path, output: str | None) -> dict[str, Any]:
    tensorflow = importlib.import_module("tensorflow")
    framework, model = _load(path, tensorflow)
    if len(model.inputs) != 1:
        names = ", ".join(str(tensor.name) for tensor in model.inputs)
        raise ValueError(f"the model needs {len(model.inputs)} inputs at once ({names})")
    number = _output_number(model, output)

    def answer(pixels: Any) -> Any:
        made = model(pixels, training=False)
        made = list(made.values()) if isinstance(made, dict) else made
        return made[number] if isinstance(made, list | tuple) else made

    given = model.inputs[0]
    shape = [None, *tuple(given.shape)[1:]]
    kind = getattr(given.dtype, "name", given.dtype)
    spec = tensorflow.TensorSpec(shape, kind, name="picture")
    traced = tensorflow.function(answer, input_signature=[spec]).get_concrete_function()
    variables = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    frozen = variables.convert_variables_to_constants_v2(traced)
    difference = _difference(tensorflow, frozen, answer, spec)
    graph = frozen.graph.as_graph_def()
    (folder / "model.pb").write_bytes(graph.SerializeToString())
    return {
        "framework": f"{framework.__name__} {framework.__version__}",
        "difference": difference,
        "input": frozen.inputs[0].name.partition(":")[0],
        "output": frozen.outputs[0].name.partition(":")[0],
    }


def _load(path: Path, tensorflow: Any) -> tuple[Any, Any]:
    """The model, by the first framework that is there and can."""
    failures: list[str] = []
    for name in FRAMEWORKS:
        try:
            framework = importlib.import_module(name)
        except ImportError:
            continue
        # Functions in a file lost the imports of the program they were written in.
        usual = {
            "K": framework.backend,
            "keras": framework,
            "np": importlib.import_module("numpy"),
            "tf": tensorflow,
        }
        vars(builtins).update(usual)
        try:
            loaded = framework.models.load_model(
                str(path), custom_objects=usual, compile=False, safe_mode=False
            )
        except Exception as error:  # noqa: BLE001 - the next framework may know better
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:600]}")
        else:
            return framework, loaded
    raise ValueError("; ".join(failures) or "neither keras nor tf_keras can be imported")


def _output_number(model: Any, wanted: str | None) -> int:
    # A Sequential of Keras 3 does not tell them.
    told = getattr(model, "output_names", None) or [tensor.name for tensor in model.outputs]
    names = [str(name) for name in told]
    if wanted is None:
        rows = [n for n, tensor in enumerate(model.outputs) if len(tensor.shape) == 2]
        return rows[0] if rows else 0
    if wanted.removesuffix(":0") not in names:
        raise ValueError(f"the model has no output {wanted!r}; it has {', '.join(names)}")
    return names.index(wanted.removesuffix(":0"))


def _difference(tensorflow: Any, frozen: Any, answer: Any, spec: Any) -> float:
    """The largest difference between the graph and the framework, relative where above 1."""
    numpy = importlib.import_module("numpy")
    random = numpy.random.default_rng(0)
    largest = 0.0
    for high in (1.0, 255.0):
        sides = [side or _USUAL_SIDE for side in spec.shape[1:]]
        pixels = tensorflow.constant(random.uniform(0, high, (2, *sides)), spec.dtype)
        expected = numpy.asarray(answer(pixels), numpy.float64)
        actual = numpy.asarray(frozen(pixels)[0], numpy.float64)
        if actual.shape != expected.shape or not numpy.isfinite(expected).all():
            raise ValueError("the answers are no finite numbers, or of another shape")
        scale = numpy.maximum(1.0, numpy.abs(expected))
        largest = max(largest, float(numpy.max(numpy.abs(actual - expected) / scale)))
    return largest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
