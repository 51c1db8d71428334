"""From a folder to pictures to judge by and pictures to calibrate on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tintype.errors import SettingsError
from tintype.tuning.samples import MOST_CALIBRATED, MOST_JUDGED, Sample, read_samples, split

LABELS = ("cat", "dog")


def make(folder: Path, *files: str) -> Path:
    """Empty files, in folders."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def test_folders_that_are_labels_say_the_right_one(tmp_path: Path):
    """As ``tintype evaluate`` reads them; other folders and loose files say nothing."""
    make(tmp_path, "cats/1.jpg", "cats/2.jpg", "dogs/3.jpg", "sea/4.jpg", "5.jpg", ".hidden/6.jpg")
    samples = read_samples(tmp_path, labels=LABELS)
    told = {each.file.name: each.right for each in samples.judged}
    judged_and_others = {*told, *(file.name for file in samples.calibrated)}
    assert {f"{number}.jpg" for number in range(1, 6)} == judged_and_others
    assert {"5.jpg": None, "2.jpg": "cat", "4.jpg": None} == told
    assert 1 == samples.labelled


def test_no_picture_is_judged_that_was_calibrated_on():
    """Else int8 would be judged by what it was fitted to."""
    samples = split([Sample(file=Path(f"{number}.png")) for number in range(101)])
    judged = {each.file for each in samples.judged}
    assert (51, 50) == (len(judged), len(samples.calibrated))
    assert set() == judged & {*samples.calibrated}


def test_many_are_thinned_out_evenly():
    """A bound on time: every part of the folder is still there."""
    files = [Sample(file=Path(str(number))) for number in range(3 * MOST_JUDGED)]
    samples = split(files)
    assert MOST_CALIBRATED == len(samples.calibrated)
    assert MOST_JUDGED >= len(samples.judged)
    assert int(samples.calibrated[-1].name) > 0.99 * len(files)


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_folder_without_files_is_refused(tmp_path: Path, name: str):
    """In words, with the flag."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="--samples"):
        read_samples(tmp_path / name, labels=LABELS)
