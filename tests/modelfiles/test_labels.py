"""Labels read, and found beside a model."""

from __future__ import annotations

import pytest

from tintype.errors import LabelsError
from tintype.modelfiles.label_fit import fit_labels
from tintype.modelfiles.labels import find_for, find_labels, labels_beside, passed_over, read_labels
from tintype.types import Activation, ClassOutput, TensorSpec


def classes(count: int) -> ClassOutput:
    tensor = TensorSpec(name="y", shape=(None, count))
    return ClassOutput(tensor=tensor, classes=count, activation=Activation.SOFTMAX)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "pets.h5"
    path.write_bytes(b"x")
    return path


def put(folder, name, text="cat\ndog\n"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "labels.txt", "pets_labels.txt", "pets.labels.txt", "retrained_labels.txt", "labels.json",
        "class_indices.json", "classes.txt", "class_names.txt", "label_map.pbtxt", "labels.csv",
        "synset.txt", "mscoco_label_map.pbtxt", "my_labels_v2.txt", "coco.names", "pets.txt",
    ],
)  # fmt: skip
def test_usual_names_are_found(model, name):
    """A labels file beside the model is found by any usual name."""
    expected = put(model.parent, name)

    assert expected == find_labels(model)


@pytest.mark.parametrize("name", ["readme.txt", "requirements.txt", "config.json", "pets.json"])
def test_other_files_are_left_alone(model, name):
    """Texts and configurations are no labels."""
    put(model.parent, name)

    assert find_labels(model) is None


def test_the_models_own_name_goes_first(model):
    """pets_labels.txt beats labels.txt when both lie beside pets.h5."""
    expected = put(model.parent, "pets_labels.txt")
    put(model.parent, "labels.txt", "other\n")

    assert expected == find_labels(model)
    assert len(labels_beside(model)) == 2


def test_two_different_files_of_one_rank_are_no_answer(model):
    """Where there is no telling which, none is taken."""
    put(model.parent, "labels.txt")
    put(model.parent, "classes.txt", "one\ntwo\n")

    assert find_labels(model) is None


def test_two_files_with_the_same_labels_are_one(model):
    """The same labels twice leave no doubt."""
    expected = put(model.parent, "labels.txt")
    put(model.parent, "labels.json", '["cat", "dog"]')

    assert expected == find_labels(model)


@pytest.mark.parametrize("place", ["", "assets/", "../"])
def test_a_saved_model_has_labels_inside_in_assets_or_beside(tmp_path, place):
    """For a SavedModel folder three places are looked at."""
    folder = tmp_path / "pets"
    folder.mkdir()
    put(tmp_path, "pets/saved_model.pb", "x")
    expected = folder / f"{place}labels.txt"
    expected.parent.mkdir(exist_ok=True)
    expected.write_text("cat\n")

    found = find_labels(folder)
    assert found is not None
    assert expected.resolve() == found.resolve()


def test_given_labels_win_over_all(model, tmp_path):
    """--labels is what a person said."""
    put(model.parent, "labels.txt", "other\n")
    given = put(tmp_path, "mine.list")

    found = find_for(model, in_file=("a", "b"), given=given)
    assert found is not None
    assert (("cat", "dog"), "mine.list") == (found.labels, found.source)


def test_labels_in_the_file_win_over_a_neighbour(model):
    """labels.txt beside a model may be another model's; those inside belong to it."""
    put(model.parent, "labels.txt", "other\n")
    found = find_for(model, in_file=("a", "b"))

    assert found is not None
    assert ("a", "b") == found.labels


def test_no_labels_anywhere(model):
    """Nothing found is None, not an error."""
    assert find_for(model) is None


def test_the_error_names_the_file(tmp_path):
    """A labels file that cannot be read is named."""
    with pytest.raises(LabelsError, match=r"labels\.txt: .*empty"):
        read_labels(put(tmp_path, "labels.txt", ""))


def test_a_missing_file_is_a_labels_error(tmp_path):
    """A path that leads nowhere is said so."""
    with pytest.raises(LabelsError, match="cannot be read"):
        read_labels(tmp_path / "nope.txt")


def test_a_huge_file_is_refused(tmp_path):
    """A labels file above 8 MiB is not read."""
    with pytest.raises(LabelsError, match="too large"):
        read_labels(put(tmp_path, "labels.txt", "x" * ((8 << 20) + 1)))


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("teachable-machine", ("cardboard", "plastic", "metal", "paper")),
        ("glasses-frozen-graph", None),
    ],
)
def test_real_labels_are_read(data_folder, folder, expected):
    """The labels files of the real models are found and read."""
    model = next(p for p in (data_folder / "models" / folder).iterdir() if p.suffix != ".txt")
    found = find_for(model)

    assert found is not None
    if expected is not None:
        assert set(expected) & set(found.labels)
    assert all(label and not label[0].isdigit() for label in found.labels)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pets.txt", "Trained on a Monday\nAccuracy 93 %\n"),
        ("pets_classification_report.txt", "precision recall\n"),
        ("class_weights.txt", "0.1\n0.2\n0.3\n0.2\n0.2\n"),
        ("pets.txt", "[broken"),
    ],
)
def test_notes_beside_the_model_are_not_its_labels(tmp_path, name, text):
    """A name that may mean anything counts only with names for about as many classes."""
    (tmp_path / name).write_text(text)
    model = tmp_path / "pets.h5"
    assert find_for(model, output=classes(5)) is None
    assert f"{name} beside the model does not fit" in passed_over(model)


def test_a_loose_name_counts_where_the_labels_fit(tmp_path):
    """pets.txt with one name for each class."""
    (tmp_path / "pets.txt").write_text("cat\ndog\nowl\n")
    found = find_for(tmp_path / "pets.h5", output=classes(3))
    assert ("cat", "dog", "owl") == found.labels


def test_files_that_differ_are_named(tmp_path):
    """Neither is taken, and the one who starts the server must know which two."""
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    said = passed_over(tmp_path / "pets.h5")
    assert "labels.txt and classes.txt beside the model hold different labels" in said


def test_blank_lines_between_labels_are_left_out_where_they_fit(tmp_path):
    """Every second line empty: else each label but the first would move to another class."""
    (tmp_path / "labels.txt").write_text("cat\n\ndog\n\nowl\n")
    fitted = fit_labels(read_labels(tmp_path / "labels.txt"), output=classes(3))
    assert ("cat", "dog", "owl") == fitted.labels
    assert "blank" in fitted.remark
