"""Whether what ``tintype tune`` found still holds for a model, and what follows for its engine.

Other precisions than f32 were judged on pictures, for one content of the model's files, one recipe,
one input and output. Where any of these changed, the model runs in f32, and that is said.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tintype.engines.engine import EngineOptions
from tintype.engines.processor import processor
from tintype.errors import ModelFileError, SettingsError
from tintype.imaging.recipe import Recipe, parse_recipe, settings_of
from tintype.modelfiles.description import ReadOptions
from tintype.modelfiles.openvino_xml import open_ir
from tintype.models.card import Tuned
from tintype.types import Format, Graph

PLAIN: Final = "f32"
_ENGINE: Final = "openvino"
"""The only engine that is tuned beyond threads and streams."""

_MOST_BYTES: Final = ReadOptions().max_bytes
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A model as it is now, to hold what was tuned against."""

    file: Path
    graph: Graph
    recipe: Recipe
    engine: str


def still_fitting(tuned: Tuned, now: Fitting) -> tuple[Tuned, str | None]:
    """What of ``tuned`` holds, and why the rest does not, None where all does. Reads the files."""
    why = None if tuned.precision == PLAIN else _misfit(tuned, now)
    if why is None:
        return tuned, None
    return plain(tuned), not_as_tuned(tuned, why)


def plain(tuned: Tuned) -> Tuned:
    """The same in f32."""
    return replace(tuned, precision=PLAIN, graph=None)


def not_as_tuned(tuned: Tuned, why: str) -> str:
    """The sentence for who serves a model that was tuned in vain."""
    return f"not run in {tuned.precision} but in f32: {why}. Run `tintype tune` again"


def other_processor(tuned: Tuned) -> str | None:
    """A remark where it was tuned on another kind of processor than this one."""
    then, now = tuned.evidence.get("processor"), processor().words
    if then in {None, now}:
        return None
    return f"tuned on another processor ({then}; this is {now}): `tintype tune` again may be faster"


def _misfit(tuned: Tuned, now: Fitting) -> str | None:
    """Why another precision than f32 may not be used, None where it may."""
    if now.engine != _ENGINE:
        return f"it was tuned for {_ENGINE}, and runs on {now.engine}"
    if tuned.ends != ends_of(now.graph):
        return "another input or output is read than when it was tuned"
    if not _same_recipe(tuned.recipe, now.recipe):
        return "pictures are prepared in another way than when it was tuned"
    try:
        return _changed_files(tuned, now.file)
    except OSError as error:
        name = Path(error.filename).name if error.filename else "a file"
        return f"{name} cannot be read ({error.strerror})"
    except ModelFileError as error:
        return error.message


def _changed_files(tuned: Tuned, file: Path) -> str | None:
    """Which file is another one now. Raises OSError, ModelFileError for a graph that is none."""
    if not _names(tuned.sources, file):
        return "the model file is not the one that was tuned"
    if sha256_of(tuned.sources) != tuned.sources_sha256:
        return "the model file has changed since it was tuned"
    if tuned.graph is None:
        return None
    if sha256_of(graph_files(tuned.graph)) != tuned.graph_sha256:
        return f"{tuned.graph.name} is not the graph that was judged"
    open_ir(tuned.graph, max_bytes=_MOST_BYTES)  # a stranger's card may name any file
    return None


def _names(sources: Iterable[Path], file: Path) -> bool:
    """Whether the model file, or what lies in the model's folder, is among the sources."""
    wanted = file.resolve()
    return any(source.resolve().is_relative_to(wanted) for source in sources)


def _same_recipe(text: str, recipe: Recipe) -> bool:
    try:
        return settings_of(parse_recipe(json.loads(text))) == settings_of(recipe)
    except (ValueError, TypeError, AttributeError, SettingsError):
        return False


def recipe_text(recipe: Recipe) -> str:
    """A recipe as it stands in ``Tuned.recipe``."""
    return json.dumps(settings_of(recipe))


def ends_of(graph: Graph) -> tuple[str, ...]:
    """The names of a graph's input and outputs, in this order."""
    return (graph.input.name, *(output.name for output in graph.outputs))


def graph_files(xml: Path) -> tuple[Path, Path]:
    """The files of an OpenVINO IR graph."""
    return xml, xml.with_suffix(".bin")


def sha256_of(files: Iterable[Path]) -> str:
    """SHA-256 of the contents one after the other, in hexadecimal.

    Raises OSError, for what is no plain file too, and above 8 GiB in all.
    """
    digest, left = hashlib.sha256(), _MOST_BYTES
    for path in files:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "no plain file", str(path))
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                left -= len(chunk)
                if left < 0:
                    raise OSError(errno.EFBIG, "more than 8 GiB", str(path))
    return digest.hexdigest()


def tuned_options(options: EngineOptions, tuned: Tuned | None) -> EngineOptions:
    """The options with what was tuned on top. A graph in int8 is not asked to be in bf16 too."""
    if tuned is None:
        return options
    return replace(
        options,
        threads=tuned.threads,
        streams=tuned.streams,
        batch=tuned.batch,
        precision=PLAIN if tuned.graph is not None else tuned.precision,
    )


def tuned_graph(graph: Graph, tuned: Tuned) -> Graph:
    """The graph to load: the one in int8 where there is one."""
    if tuned.graph is None:
        return graph
    return replace(graph, format=Format.OPENVINO_IR, source=tuned.graph, held=())
