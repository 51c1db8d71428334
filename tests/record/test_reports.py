"""What the dashboard is told, on both databases."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tintype.record import store
from tintype.record.database import reading, writing
from tintype.record.drift import Sample
from tintype.record.fake import PETS, classified, entry, predicted
from tintype.record.reports import Asked, Reference, accuracy, overview
from tintype.record.values import Said
from tintype.types import PictureLook


class Direct:
    """Reads in this thread."""

    def __init__(self, engine) -> None:
        self._engine = engine

    async def read(self, work):
        """Do the work."""
        with reading(self._engine) as connection:
            return work(connection)


@pytest.fixture
def record(engine) -> Direct:
    """A hundred and sixty predictions of dogs; the later half are dark, and a third are cats."""
    with writing(engine) as connection:
        number = store.add_model(connection, PETS, sha256="", at_ms=1)
        entries = []
        for step in range(160):
            late = step >= 80
            label = "cat" if late and step % 3 == 0 else "dog"
            look = PictureLook(
                brightness=(0.1 if late else 0.6) + step / 1000,
                contrast=0.2,
                colour=0.1,
                detail=0.05,
            )
            prediction = replace(predicted(classified((label, 0.9))), look=look)
            entries.append(entry(prediction, at_ms=1000 + step))
        store.add_predictions(connection, entries, model_id=lambda _, __: number)
        for each in entries[-2:]:
            said = Said(correct=False)
            store.put_feedback(connection, each.prediction.id, said, key="", at_ms=2000)
    return Direct(engine)


async def test_the_first_half_is_the_reference_of_few_answers(record: Direct):
    """Nothing is compared with itself; the change is told."""
    told = await overview(record, model="pets", version="1", golden=None)
    assert told.drift is not None
    assert told.reference is not None
    assert (80, 80) == (told.drift.reference_count, told.drift.recent_count)
    assert "the first 80 answers of this version" == told.reference.name
    assert {"brightness", "labels"} == {each.what for each in told.drift.told}
    assert 2 == len(told.disagreements)


async def test_a_golden_set_is_the_reference_where_there_is_one(record: Direct):
    """All the latest answers are compared with it."""
    golden = Reference(
        name="the golden set",
        sample=Sample(measures={"brightness": [0.6] * 60}, labels={"dog": 60}),
    )
    told = await overview(record, model="pets", version="1", golden=golden)
    assert told.drift is not None
    assert (60, 160) == (told.drift.reference_count, told.drift.recent_count)
    assert "the golden set" == told.drift.reference


async def test_a_version_that_never_answered_has_no_drift(record: Direct):
    """The accuracy of the model's other versions is told all the same."""
    told = await overview(record, model="pets", version="2", golden=None)
    assert (None, None, None) == (told.drift, told.recent, told.reference)
    assert 2 == told.accuracy.accuracy.judged


async def test_accuracy_is_a_report(record: Direct):
    """Of what fits."""
    assert 2 == (await accuracy(record, Asked(model="pets"))).accuracy.judged
    assert 0 == (await accuracy(record, Asked(version="9"))).accuracy.judged
