"""Several processes write one record: nothing is lost, counted twice or left behind."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tintype.errors import UnknownPrediction
from tintype.record import pictures as keeping
from tintype.record import store
from tintype.record.database import make_engine, reading, writing
from tintype.record.fake import PETS, FakeRequest, entry, predicted
from tintype.record.ledger import Ledger
from tintype.record.picture_place import PictureFolder
from tintype.record.pictures import PictureKeeper
from tintype.record.place import Place
from tintype.record.policy import PicturePolicy, RecordPolicy
from tintype.record.recorder import Recorder
from tintype.record.tables import feedback, losses, models, pictures, predictions
from tintype.record.values import KeptPicture, Said, all_counts

REQUEST = FakeRequest(image=b"123")

CODE = """
import asyncio, sys
from pathlib import Path
from tintype.record.fake import PETS, FakeRequest, predicted
from tintype.record.policy import RecordPolicy
from tintype.record.recorder import Recorder

place = sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])
with Recorder(place, state=Path(sys.argv[2]), policy=RecordPolicy()) as record:
    record.know([PETS])
    sys.stdin.readline()
    for _ in range(int(sys.argv[3])):
        record.answered(FakeRequest(), predicted())
    asyncio.run(record.catch_up())
    print("written", record.counts(), flush=True)
    while sys.stdin.readline():
        record.answered(FakeRequest(), predicted())
"""


def process(place: Place, state: Path, count: int) -> subprocess.Popen:
    """A real process that answers ``count`` pictures, then one a line until the end."""
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(place), str(state), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


@contextmanager
def several(place: Place, state: Path, count: int = 2, **policy):
    """Recorders of one place, as processes of one family have them."""
    with ExitStack() as stack:
        found = [Recorder(place, state=state, policy=RecordPolicy(**policy)) for _ in range(count)]
        for one in found:
            one.know([PETS])
            stack.enter_context(one)
            one.when_unknown(_flush([each for each in found if each is not one]))
        yield found


def _flush(others: list[Recorder]):
    async def flush() -> bool:
        await asyncio.gather(*(other.catch_up() for other in others))
        return True

    return flush


def number_of(place: Place, table) -> int:
    engine = make_engine(place)
    with reading(engine) as connection:
        found = store.count(connection, table)
    engine.dispose()
    return found


async def test_what_another_process_answered_just_now_is_found(place: Place, tmp_path: Path):
    """Looked up, judged and deleted, whichever of them is asked; a word said is stored."""
    with several(place, tmp_path) as (one, other):
        for _ in range(5):
            answered = predicted()
            one.answered(REQUEST, answered)
            _, judged = await other.say(answered.id, Said(label="dog"), key="")
            assert judged.correct
            assert "dog" == (await one.find(answered.id)).results[0].feedback.right_label
        assert 5 == number_of(place, feedback)
        one.answered(REQUEST, answered := predicted())
        await other.forget(answered.id)
        with pytest.raises(UnknownPrediction):
            await one.find(answered.id)
    assert 5 == number_of(place, predictions)


async def test_others_are_asked_for_what_is_unknown_alone(tmp_path: Path):
    """Once; and an id that there is not is as unknown as before."""
    asked = []

    async def others() -> bool:
        asked.append(None)
        return len(asked) > 1

    with Recorder(tmp_path / "record.db", state=tmp_path, policy=RecordPolicy()) as record:
        record.know([PETS])
        record.when_unknown(others)
        record.answered(REQUEST, answered := predicted())
        await record.find(answered.id)
        assert [] == asked
        for times in (1, 2):
            with pytest.raises(UnknownPrediction):
                await record.find("0" * 32)
            assert times == len(asked)


async def test_a_record_that_has_written_all_is_not_asked_to(tmp_path: Path):
    """Then catching up costs nothing: not even a transaction."""
    with Recorder(tmp_path / "record.db", state=tmp_path, policy=RecordPolicy()) as record:
        record.know([PETS])
        record.answered(REQUEST, predicted())
        await record.catch_up()
        assert (0, 1) == (record.counts().waiting, record.counts().written)
        record._asks = 10**6  # whoever asks now is refused
        await record.catch_up()


def test_processes_start_at_once_and_one_is_killed(place: Place, tmp_path: Path):
    """They make the schema together, write together, and the dead one's rest is counted once."""
    state = tmp_path / "state"
    with ExitStack() as stack:
        family = [stack.enter_context(process(place, state, 300)) for _ in range(4)]
        for each in family:
            stack.callback(_end, each)
            each.stdin.write("\n")
        told = [each.stdout.readline() for each in family]
        assert ["written"] * 4 == [line.partition(" ")[0] for line in told], told
        assert 1200 == number_of(place, predictions)
        assert 1 == number_of(place, models)
        dead, *others = family
        for _ in range(50):
            for each in family:
                each.stdin.write("\n")
        dead.kill()
        dead.wait()
        for each in others:
            each.stdin.close()
            assert 0 == each.wait(60)
    written = number_of(place, predictions)
    assert 1200 + 150 <= written <= 1200 + 200
    for _ in range(2):  # the next start tells it, and the one after it does not
        with several(place, state, 3) as records:
            asyncio.run(_caught_up(records))
    engine = make_engine(place)
    with reading(engine) as connection:
        lost = connection.execute(select(func.sum(losses.c.count))).scalar() or 0
    engine.dispose()
    assert lost <= 50
    assert written + lost >= 1200 + 150
    assert [] == [*state.glob("run-*")]


def _end(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _caught_up(records: list[Recorder]) -> None:
    """Until each has been through its start."""
    for record in records:
        await record.ask(lambda _: None)


def test_the_rest_of_a_dead_run_is_told_to_one_of_many_who_start(tmp_path: Path):
    """They all look at once, and none counts what another has taken."""
    for number in range(1, 101):
        with Ledger(tmp_path) as ledger:
            ledger.taken(number)
    begin = threading.Barrier(8)

    def start(_: int) -> int:
        begin.wait()
        return Ledger(tmp_path).take_lost()

    with ThreadPoolExecutor(8) as threads:
        assert 5050 == sum(threads.map(start, range(8)))


def test_a_run_that_has_just_begun_is_not_taken_for_a_dead_one(tmp_path: Path):
    """Others that start at the same moment look for dead ones."""
    done, lost = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            lost.append(Ledger(tmp_path).take_lost())

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(look)
        try:
            for _ in range(300):
                with Ledger(tmp_path) as ledger:
                    ledger.taken(1)
                    assert 1 == len([*tmp_path.glob("run-*.count")])
                    ledger.settled(1)
        finally:
            done.set()
    assert {0} == set(lost)
    assert [] == [*tmp_path.iterdir()]


async def test_words_and_deletions_at_the_same_moment_are_no_error(place: Place, tmp_path: Path):
    """What is judged in one process while another deletes it is judged first, or unknown."""
    with several(place, tmp_path) as (one, other):
        for _ in range(40):
            one.answered(REQUEST, answered := predicted())
            await one.catch_up()
            said, gone = await asyncio.gather(
                one.say(answered.id, Said(label="cat"), key=""),
                other.forget(answered.id),
                return_exceptions=True,
            )
            assert gone is None
            assert isinstance(said, tuple | UnknownPrediction), said
        assert "" == all_counts([one.counts(), other.counts()]).problem
    assert (0, 0) == (number_of(place, predictions), number_of(place, feedback))


def test_retention_spares_what_was_judged_a_moment_ago(engine):
    """Two sweeps and a word at once: what somebody judged stays, the rest goes once."""
    old = [entry(predicted(), at_ms=1) for _ in range(60)]
    with writing(engine) as connection:
        number = store.add_model(connection, PETS, sha256="", at_ms=1)
        store.add_predictions(connection, old, model_id=lambda *_: number)
    begin = threading.Barrier(3)

    def sweep() -> int:
        begin.wait()
        found, total = None, 0
        while found != 0:
            with writing(engine) as connection:
                found = store.forget_old(connection, before_ms=10**12, most=7)
            total += found
        return total

    def say() -> list[str]:
        begin.wait()
        said = []
        for each in reversed(old):
            with contextlib.suppress(UnknownPrediction), writing(engine) as connection:
                store.put_feedback(
                    connection, each.prediction.id, Said(correct=True), key="", at_ms=2
                )
                said.append(each.prediction.id)
        return said

    with ThreadPoolExecutor(3) as threads:
        sweeps = [threads.submit(sweep) for _ in range(2)]
        said = threads.submit(say).result()
        assert len(old) - len(said) <= sum(each.result() for each in sweeps)
    with reading(engine) as connection:
        assert {*said} == set(connection.execute(select(predictions.c.id)).scalars())
        assert {*said} == set(connection.execute(select(feedback.c.prediction_id)).scalars())


def as_it_is(image: bytes, *, kind: str, orientation: int) -> bytes:
    """Pictures without anything to strip."""
    del kind, orientation
    return image


def digest(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


def send(record: Recorder, keeper: PictureKeeper, image: bytes) -> str:
    """A prediction of a picture; its id."""
    prediction, request = predicted(sha256=digest(image)), FakeRequest(image=image)
    record.answered(request, prediction)
    keeper.answered(request, prediction)
    return prediction.id


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "pictures").rglob("*") if path.is_file()]


class Slow(PictureFolder):
    """Something happens between the row of a picture and its file."""

    def __init__(self, folder: Path, meanwhile) -> None:
        super().__init__(folder)
        self._meanwhile = meanwhile

    def put(self, name: str, data: bytes) -> None:
        """Write it, too late."""
        self._meanwhile(name)
        super().put(name, data)


async def test_a_picture_deleted_while_it_is_written_leaves_no_file(place: Place, tmp_path: Path):
    """Another process deletes the prediction, sweeps, and is done before the file is there."""
    ids = []
    with several(place, tmp_path) as (one, other):

        def delete_it(name: str) -> None:
            other.hand_over(lambda c: store.forget(c, ids[0])).result(20)
            found = other.hand_over(
                lambda c: store.excess_pictures(c, before_ms=1, max_bytes=10**9, most=9)
            ).result(20)
            assert [name] == [each.name for each in found]
            hashes = [each.sha256 for each in found]
            other.hand_over(lambda c: store.drop_gone(c, hashes)).result(20)

        where = Slow(tmp_path / "pictures", delete_it)
        keep = PicturePolicy(keep=True)
        with PictureKeeper(one, place=where, policy=keep, strip=as_it_is) as keeper:
            ids.append(send(one, keeper, b"one"))
    assert [] == files(tmp_path)
    assert 0 == number_of(place, pictures)


def test_a_picture_that_is_sent_again_while_it_is_swept_is_written_anew(engine):
    """Its row is there again, and is not dropped with the old file."""
    prediction = predicted(sha256=digest(b"one"))
    kept = KeptPicture(sha256=digest(b"one"), at_ms=5, name="x", bytes=3)
    with writing(engine) as connection:
        number = store.add_model(connection, PETS, sha256="", at_ms=1)
        store.add_predictions(connection, [entry(prediction)], model_id=lambda *_: number)
        assert (kept,) == store.add_pictures(connection, [kept])
        assert () == store.add_pictures(connection, [kept])
        found = store.excess_pictures(connection, before_ms=6, max_bytes=10**9, most=9)
        assert (kept,) == found
        assert set() == store.still_kept(connection, [kept.sha256])
        assert (kept,) == store.add_pictures(connection, [kept])
        store.drop_gone(connection, [kept.sha256])
        assert {kept.sha256} == store.still_kept(connection, [kept.sha256])


async def test_processes_that_keep_the_same_pictures_keep_each_once(place: Place, tmp_path: Path):
    """Whoever is quicker writes the file; the other's thread goes on."""
    where = PictureFolder(tmp_path / "pictures")
    with several(place, tmp_path) as records, ExitStack() as stack:
        keepers = [
            stack.enter_context(
                PictureKeeper(each, place=where, policy=PicturePolicy(keep=True), strip=as_it_is)
            )
            for each in records
        ]
        for number in range(60):
            for record, keeper in zip(records, keepers, strict=True):
                send(record, keeper, b"%d" % number)
    assert [0, 0] == [keeper.dropped for keeper in keepers]
    assert {b"%d" % number for number in range(60)} == {*files(tmp_path)}
    assert 60 == number_of(place, pictures) == len(files(tmp_path))


async def test_the_cap_on_kept_pictures_is_that_of_all_processes_together(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each sweeps, and none takes its own share for the whole."""
    where, policy = PictureFolder(tmp_path / "pictures"), PicturePolicy(keep=True, max_mib=1)
    with several(place, tmp_path) as records, ExitStack() as stack:
        keepers = [
            stack.enter_context(PictureKeeper(each, place=where, policy=policy, strip=as_it_is))
            for each in records
        ]
        for number in range(6):
            for record, keeper in zip(records, keepers, strict=True):
                send(record, keeper, b"%d %d" % (number, id(record)) + bytes(150_000))
    monkeypatch.setattr(keeping, "_FIRST_SWEEP_SECONDS", 0.0)
    with several(place, tmp_path) as records, ExitStack() as stack:
        for each in records:
            stack.enter_context(PictureKeeper(each, place=where, policy=policy, strip=as_it_is))
    left = files(tmp_path)
    assert number_of(place, pictures) == len(left) == (1 << 20) // 150_010
    assert sum(map(len, left)) <= 1 << 20
