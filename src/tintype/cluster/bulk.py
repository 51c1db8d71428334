"""Work in bulk through Ray Data: the same pieces, answered by actors wherever the cluster has room.

One task lists the sources and reads the pictures, on the node of the program that asked; encoded
pictures travel, or with ``by_path`` the paths of files that every node can read. Each actor loads
the models once and gives back lines, as a thread of one machine would. Ray starts an actor or a
task again whose process died, and may then do a piece twice: each is taken once, in order.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import pyarrow as pa
import ray
import ray.data
from ray.data.block import BlockMetadata
from ray.exceptions import RayError

from tintype.bulk.items import Item, Piece, in_pieces
from tintype.bulk.job import Road
from tintype.bulk.picture_file import read_picture
from tintype.bulk.road import in_order
from tintype.bulk.rows import Asker, Done, recipe_text
from tintype.bulk.sources import Sources
from tintype.cluster import connection
from tintype.errors import ModelUnavailable, SettingsError, TintypeError
from tintype.models.card import Card
from tintype.predict import Given, PredictRequest
from tintype.settings import Settings
from tintype.wiring.bulk import direct, loaded
from tintype.wiring.plans import LeftOut, make_plans

_TOGETHER: Final = 64
"""Pictures in a piece: Ray's own work for a block takes as long as some small pictures do."""
_COLUMN: Final = "parcel"

_Answer: TypeAlias = tuple[int, Done]
"""The place of a piece, and its answers. One without items marks the end of the listing."""


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A piece on its way.

    Of each item ``kinds`` says what its ``given`` is: the ``picture``, its ``path``, or, under the
    slug of an error, the error's message.
    """

    first: int
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    kinds: tuple[str, ...]
    given: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What every actor is told. The cards' files must lie at the same paths on every node."""

    cards: tuple[Card, ...]
    settings: Settings
    asked: PredictRequest


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A Ray cluster, one of its own without an address. Raises SettingsError where there is none.

    Its progress is not told: that of the pictures is.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":
            handler.setLevel(logging.ERROR)
    with connection.connected(address):
        yield


def ray_road(orders: Orders, sources: Sources, *, by_path: bool) -> Road:
    """Answers on the connected cluster: an actor for each of its processors.

    Raises SettingsError for standard input, which the task that lists cannot read.
    """
    if "-" in sources.named:
        raise SettingsError(
            "Ray cannot read standard input", hint="write the list into a file: @LIST"
        )

    def road(items: Iterator[Item], first: int) -> Generator[Done]:
        del items  # listed anew where the pictures are read
        yield from in_turn(_answers(orders, sources, first, by_path=by_path), first)

    return road


def in_turn(found: Iterable[_Answer], first: int) -> Generator[Done]:
    """Answers from ``first`` on, each once and in order, however they come.

    Raises ModelUnavailable where some are missing.
    """
    early: dict[int, Done] = {}
    ended = False
    for place, done in found:
        if place >= first:
            early[place] = done  # one that comes twice is the same both times
        while not ended and first in early:
            turn = early.pop(first)
            first += turn.items
            ended = not turn.items
            if not ended:
                yield turn
    if not ended:
        raise ModelUnavailable(
            f"Ray gave no answer for what comes after {first} pictures",
            hint="the same command goes on from there",
        )


def _answers(orders: Orders, sources: Sources, first: int, *, by_path: bool) -> Generator[_Answer]:
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # a piece a block: each is sent as soon as it is read
    here = ray.get_runtime_context().get_node_id()
    size = max(1, int(ray.cluster_resources().get("CPU", 1)))
    parcels = ray.data.read_datasource(
        _Listing(sources, first, by_path=by_path),
        override_num_blocks=1,
        num_cpus=0,
        label_selector={"ray.io/node-id": here},
    )
    answered = parcels.map_batches(
        Answers,
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(size=size),
        num_cpus=1,
        fn_constructor_args=(orders, sources.max_bytes),
    )
    with _told():
        for row in answered.iter_rows():
            yield msgspec.msgpack.decode(row[_COLUMN], type=_Answer)


@contextmanager
def _told() -> Iterator[None]:
    """What Ray raises, in our words; a designed error of an actor as it was."""
    try:
        yield
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, TintypeError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        why = cause.message if isinstance(cause, TintypeError) else str(error).strip()
        last = why.splitlines()[-1] if why else type(error).__name__
        raise ModelUnavailable(
            f"the cluster could not go on: {last}", hint="the same command goes on from here"
        ) from error


class _Listing(ray.data.Datasource):  # type: ignore[misc]  # Ray's own are not typed
    """The pictures of the sources from a place on, as one task that gives parcels."""

    def __init__(self, sources: Sources, first: int, *, by_path: bool) -> None:
        super().__init__()
        self._read = partial(_parcels, sources, first, by_path=by_path)

    def estimate_inmemory_data_size(self) -> int | None:
        """Nobody knows."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ray.data.ReadTask]:
        """One: a listing has one order."""
        del parallelism
        nothing_known = BlockMetadata(
            num_rows=None, size_bytes=None, exec_stats=None, input_files=None
        )
        return [ray.data.ReadTask(self._read, nothing_known)]


def _parcels(sources: Sources, first: int, *, by_path: bool) -> Iterator[pa.Table]:
    items: Iterator[Item] = itertools.islice(sources.items(), first, None)
    if by_path:
        items = (_as_path(item) for item in items)
    pieces = in_pieces(items, first=first, most=_TOGETHER)
    end = first
    for piece, parcel in in_order(pieces, partial(_pack, by_path=by_path), threads=1):
        end = piece.first + len(piece.items)
        yield _table(parcel)
    yield _table(Parcel(first=end, names=(), sizes=(), kinds=(), given=()))


def _as_path(item: Item) -> Item:
    path = item.path
    return item if path is None else replace(item, read=lambda: os.fsencode(path.absolute()))


def _pack(piece: Piece, images: Sequence[Given], *, by_path: bool) -> Parcel:
    kinds: list[str] = []
    given: list[bytes] = []
    for item, image in zip(piece.items, images, strict=True):
        if isinstance(image, TintypeError):
            kinds.append(image.type)
            given.append(image.message.encode())
        else:
            kinds.append("path" if by_path and item.path is not None else "picture")
            given.append(image)
    return Parcel(
        first=piece.first,
        names=tuple(item.name for item in piece.items),
        sizes=tuple(item.size for item in piece.items),
        kinds=tuple(kinds),
        given=tuple(given),
    )


def _unpacked(parcel: Parcel, *, limit: int) -> tuple[Piece, list[Given]]:
    items = [
        Item(name=name, size=size, read=bytes)
        for name, size in zip(parcel.names, parcel.sizes, strict=True)
    ]
    images = [
        _given(kind, given, limit=limit)
        for kind, given in zip(parcel.kinds, parcel.given, strict=True)
    ]
    return Piece(first=parcel.first, items=tuple(items)), images


def _given(kind: str, given: bytes, *, limit: int) -> Given:
    if kind == "picture":
        return given
    if kind != "path":
        return _error(kind)(given.decode())
    try:
        return read_picture(Path(os.fsdecode(given)), limit=limit)
    except TintypeError as error:
        return error


def _error(slug: str) -> Callable[[str], TintypeError]:
    """The class of an error by its slug."""
    kinds: list[type[TintypeError]] = [TintypeError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next(kind for kind in kinds if kind.type == slug)


class Answers:
    """An actor: models loaded once, on one processor; parcels in, answers out."""

    def __init__(self, orders: Orders, limit: int) -> None:
        """Load. Raises ModelFileError, SettingsError, ServingError: Ray tells it as the cause."""
        settings = orders.settings
        alone = replace(settings, engine=replace(settings.engine, threads=1, streams=1))
        plans = asyncio.run(make_plans(orders.cards, left_out=_ignore))
        self._models = loaded(plans, settings=alone)
        hosts = self._models.__enter__()  # until the process ends
        recipes = {host.name: recipe_text(host.recipe) for host in hosts}
        self._asker = Asker(direct(hosts, settings=alone), orders.asked, recipes=recipes)
        self._limit = limit

    def __call__(self, table: pa.Table) -> pa.Table:
        """Answer every parcel of a block."""
        found = []
        for packed in table[_COLUMN]:
            parcel = msgspec.msgpack.decode(packed.as_py(), type=Parcel)
            piece, images = _unpacked(parcel, limit=self._limit)
            found.append((piece.first, self._asker(piece, images)))
        return _table(*found)

    def close(self) -> None:
        """Let the models go; in a cluster the end of the process does."""
        self._models.__exit__(None, None, None)


def _table(*values: Parcel | _Answer) -> pa.Table:
    return pa.table({_COLUMN: pa.array(map(msgspec.msgpack.encode, values), pa.large_binary())})


def _ignore(left: LeftOut) -> None:
    """The program that asked has said it already."""
    del left
