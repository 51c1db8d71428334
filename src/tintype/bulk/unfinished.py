"""What is answered so far, on disk: whoever is killed goes on from here, each picture once.

Beside the output lies a folder until the work is done. ``answers`` grows by lines; ``journal``
says, a line a commit, up to which byte they hold and which items they are of. A journal line is
written when its answers are on the disk, so answers past the last line are cut off and made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, cast

import msgspec

from tintype.bulk.items import Item
from tintype.bulk.rows import Done
from tintype.errors import SettingsError

_COMMIT_SECONDS: Final = 1.0


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Answers hold up to ``bytes``: they are of ``items`` items, ``failures`` without an answer.

    ``digest`` chains the identities of the items since the commit before.
    """

    bytes: int = 0
    items: int = 0
    failures: int = 0
    digest: str = ""


class Unfinished:
    """The folder of work that is not done. Enter it to have it alone; constructing does no IO.

    ``manifest`` says what the answers come from: work that was begun with another is refused,
    unless ``restart`` throws away what was answered.
    """

    def __init__(self, folder: Path, *, manifest: Mapping[str, object], restart: bool) -> None:
        self._folder = folder
        self._manifest = manifest
        self._restart = restart
        self._lock: IO[bytes] | None = None
        self._answers: IO[bytes] | None = None
        self._journal: IO[bytes] | None = None
        self._last = Commit()
        self._new = Commit()
        self._chain = hashlib.sha256()
        self._committed_at = 0.0
        self._is_taking = False

    def __enter__(self) -> Self:
        """Raises SettingsError where another process is at it, or the manifest is another."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._open("lock", "ab")
        try:
            self._take_lock()
            if self._restart:
                for name in ("manifest.json", "journal", "answers"):
                    (self._folder / name).unlink(missing_ok=True)
            self._agree()
            self._open_answers()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what was answered, whatever ended the work.

        Ctrl-C in the midst of taking an answer leaves it half taken: then the last commit stands.
        """
        try:
            if not (self._is_taking or isinstance(error, OSError)):  # a full disk takes no more
                self.commit()
        finally:
            self._close()

    @property
    def items(self) -> int:
        """How many items are answered."""
        return self._new.items

    @property
    def failures(self) -> int:
        """How many failures are among the answers."""
        return self._new.failures

    def skip(self, items: Iterator[Item]) -> None:
        """Take what is answered off a listing. Raises SettingsError where it was of others."""
        before = Commit()
        for commit in self._commits():
            chain = hashlib.sha256(before.digest.encode())
            for _ in range(commit.items - before.items):
                item = next(items, None)
                if item is not None:
                    chain.update(item.identity)
            if chain.hexdigest() != commit.digest:
                raise SettingsError(
                    f"the sources have changed since {self._folder} was begun: of the first "
                    f"{commit.items} pictures some are others, came, went or changed their size",
                    hint="--restart begins anew; another --out leaves this one as it is",
                )
            before = commit

    def add(self, done: Done) -> None:
        """Take the answers of the next items; they hold once they are committed, soon."""
        assert self._answers is not None  # noqa: S101 - entered
        self._is_taking = True
        self._answers.write(done.lines)
        self._chain.update(done.identity)
        self._new = Commit(
            bytes=self._new.bytes + len(done.lines),
            items=self._new.items + done.items,
            failures=self._new.failures + done.failures,
        )
        self._is_taking = False
        if time.monotonic() - self._committed_at >= _COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Have on the disk what was added."""
        assert self._answers is not None  # noqa: S101 - entered
        assert self._journal is not None  # noqa: S101 - entered
        if self._new.items > self._last.items:
            self._is_taking = True
            _to_disk(self._answers)
            self._new = msgspec.structs.replace(self._new, digest=self._chain.hexdigest())
            self._journal.write(msgspec.json.encode(self._new) + b"\n")
            _to_disk(self._journal)
            self._begin_after(self._new)
            self._is_taking = False
        self._committed_at = time.monotonic()

    def lines(self) -> Iterator[bytes]:
        """Every answer, a line each."""
        self.commit()
        with (self._folder / "answers").open("rb") as file:
            yield from file

    def remove(self) -> None:
        """The work is done, and its results are elsewhere."""
        shutil.rmtree(self._folder)

    def _take_lock(self) -> None:
        assert self._lock is not None  # noqa: S101 - opened by the caller
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"another process is at work in {self._folder}",
                hint="wait for it, or give another --out",
            ) from error

    def _agree(self) -> None:
        path = self._folder / "manifest.json"
        wanted = msgspec.json.decode(msgspec.json.encode(self._manifest))
        if not path.exists():
            beside = path.with_suffix(".new")
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(wanted))
                _to_disk(file)
            beside.replace(path)
            _folder_to_disk(self._folder)
            return
        try:
            begun = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        except msgspec.DecodeError as error:
            raise SettingsError(
                f"{path} is damaged: {error}", hint="--restart begins anew"
            ) from error
        differing = [key for key in {**begun, **wanted} if begun.get(key) != wanted.get(key)]
        if differing:
            raise SettingsError(
                f"{self._folder} was begun otherwise, and answers of both would be mixed; what "
                f"differs: {', '.join(differing)}",
                hint="--restart begins anew; another --out leaves this one as it is",
            )

    def _open_answers(self) -> None:
        commits, good = Commit(), 0
        for commit in self._commits():
            commits = commit
            good += len(msgspec.json.encode(commit)) + 1
        self._journal = self._open("journal", "ab")
        self._journal.truncate(good)
        self._answers = self._open("answers", "ab")
        if self._answers.tell() < commits.bytes:
            raise SettingsError(
                f"{self._folder}/answers is shorter than its journal says",
                hint="--restart begins anew",
            )
        self._answers.truncate(commits.bytes)
        _folder_to_disk(self._folder)
        self._begin_after(commits)
        self._committed_at = time.monotonic()

    def _begin_after(self, commit: Commit) -> None:
        self._last = self._new = commit
        self._chain = hashlib.sha256(commit.digest.encode())

    def _commits(self) -> Iterator[Commit]:
        """The journal, up to a line that was not written whole."""
        path = self._folder / "journal"
        if not path.exists():
            return
        with path.open("rb") as file:
            for line in file:
                try:
                    commit = msgspec.json.decode(line, type=Commit)
                except msgspec.DecodeError:
                    return
                if not line.endswith(b"\n"):
                    return
                yield commit

    def _open(self, name: str, mode: str) -> IO[bytes]:
        return cast("IO[bytes]", (self._folder / name).open(mode))

    def _close(self) -> None:
        for file in (self._answers, self._journal, self._lock):
            if file is not None:
                file.close()


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    """So that the names in it last, too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
