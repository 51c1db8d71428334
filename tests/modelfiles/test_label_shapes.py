from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tintype.errors import LabelsError
from tintype.modelfiles.label_notations import parse_python_names
from tintype.modelfiles.label_shapes import parse_labels, parse_property

CATS = ("cat", "dog", "red panda")
SHAPES = [
    pytest.param("cat\ndog\nred panda\n", id="lines"),
    pytest.param("cat\r\ndog\r\nred panda\r\n\r\n\r\n", id="CRLF and blank last lines"),
    pytest.param("\ufeffcat\ndog\nred panda", id="BOM"),
    pytest.param("0 cat\n1 dog\n2 red panda\n", id="Teachable Machine"),
    pytest.param("0: cat\n1: dog\n2: red panda\n", id="number, colon, blank"),
    pytest.param("0:cat\n1:dog\n2:red panda\n", id="TF-Slim"),
    pytest.param("0,cat\n1,dog\n2,red panda\n", id="number, comma"),
    pytest.param("0\tcat\n1\tdog\n2\tred panda\n", id="number, tab"),
    pytest.param("0 - cat\n1 - dog\n2 - red panda\n", id="number, dash"),
    pytest.param("  0  cat\n  1  dog\n  2  red panda\n", id="number, two blanks, indented"),
    pytest.param("1 cat\n2 dog\n3 red panda\n", id="counted from one"),
    pytest.param("n02123045 cat\nn02084071 dog\nn02509815 red panda\n", id="synsets"),
    pytest.param('["cat", "dog", "red panda"]', id="JSON list"),
    pytest.param('{"0": "cat", "1": "dog", "2": "red panda"}', id="JSON number to name"),
    pytest.param('{"2": "red panda", "0": "cat", "1": "dog"}', id="JSON out of order"),
    pytest.param('{"cat": 0, "dog": 1, "red panda": 2}', id="class_indices"),
    pytest.param('{"cat": "0", "dog": "1", "red panda": "2"}', id="class_indices as text"),
    pytest.param(
        '{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "red panda"]}',
        id="imagenet_class_index.json",
    ),
    pytest.param('{"labels": ["cat", "dog", "red panda"]}', id="JSON under a key"),
    pytest.param(
        '{"id2label": {"0": "cat", "1": "dog", "2": "red panda"}, "label2id": {}}', id="id2label"
    ),
    pytest.param(
        '[{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}, {"id": 2, "name": "red panda"}]',
        id="JSON list of objects",
    ),
    pytest.param("label\ncat\ndog\nred panda\n", id="CSV of one column"),
    pytest.param("index,label\n0,cat\n1,dog\n2,red panda\n", id="CSV with numbers"),
    pytest.param("id;class_name\n1;dog\n0;cat\n2;red panda\n", id="CSV with semicolons"),
    pytest.param("class,name\n0,cat\n1,dog\n2,red panda\n", id="CSV whose class is a number"),
    pytest.param('name,colour\n"cat",a\n"dog",b\n"red panda",c\n', id="CSV with quotes"),
    pytest.param(
        "item {\n  id: 1\n  name: 'cat'\n}\nitem {\n  id: 2\n  name: 'dog'\n}\n"
        'item {\n  name: "/m/x"\n  id: 3\n  display_name: "red panda"\n}\n',
        id="label map",
    ),
    pytest.param("names:\n  0: cat\n  1: dog\n  2: red panda\nnc: 3\n", id="YAML numbers"),
    pytest.param("nc: 3\nnames:\n- cat\n- dog\n- red panda\n", id="YAML list"),
    pytest.param("names: ['cat', 'dog', 'red panda']\n", id="YAML in one line"),
    pytest.param("{0: 'cat', 1: 'dog', 2: 'red panda'}", id="Python dict"),
    pytest.param("{'cat': 0, 'dog': 1, 'red panda': 2}", id="Python class_indices"),
]


@pytest.mark.parametrize("text", SHAPES)
def test_every_usual_shape_gives_the_same_labels(text):
    """Labels files of all usual shapes are told by their content."""
    assert parse_labels(text.encode()) == CATS


def test_latin_1_is_read_where_utf_8_is_not():
    """Old Windows files keep their umlauts."""
    assert parse_labels("Bär\nKühe\n".encode("latin-1")) == ("Bär", "Kühe")


def test_utf_16_is_read():
    """Notepad's Unicode files are read."""
    assert parse_labels("cat\ndog\n".encode("utf-16")) == ("cat", "dog")


def test_labels_that_are_digits_stay_labels():
    """MNIST's ten lines of one digit each are names, not numbers without names."""
    text = "\n".join("0123456789")

    assert parse_labels(text.encode()) == tuple("0123456789")


@pytest.mark.parametrize(
    "lines",
    [
        ("1 euro", "2 euro", "5 euro"),
        ("10 cent", "20 cent"),
        ("7 up", "cola"),
        ("2 bananas", "1 apple"),
        ("3 of clubs", "4 of clubs", "5 of clubs"),
    ],
)
def test_names_that_begin_with_a_number_are_not_cut(lines):
    """Only lines that count up from 0, or from 1 with different names, are numbered."""
    assert parse_labels("\n".join(lines).encode()) == lines


def test_gaps_in_numbers_are_filled():
    """COCO leaves numbers out; each gap keeps its place."""
    assert parse_labels(b"0 person\n1 bicycle\n3 car\n") == ("person", "bicycle", "class 2", "car")


def test_gaps_in_a_label_map_are_filled():
    """A label map counts from 1; its first label is that of number 1."""
    text = b"item { id: 1 name: 'a' } item { id: 3 name: 'c' }"

    assert parse_labels(text) == ("a", "class 2", "c")


def test_a_label_map_with_a_background_begins_with_it():
    """Where number 0 is told, the list begins there."""
    text = b"item { id: 0 name: 'background' } item { id: 1 name: 'a' }"

    assert parse_labels(text) == ("background", "a")


def test_quotes_inside_names_are_undone():
    """Escaped quotes and letters come out as themselves."""
    assert parse_labels(rb"item { id: 1 name: 'cat\'s \"eye\"' }") == ('cat\'s "eye"',)
    assert parse_python_names("{0: \"men's\", 1: 'caf\\xe9'}") == ("men's", "café")


def test_a_blank_line_in_the_middle_keeps_its_number():
    """An empty line is a class without a name; those behind it must not move up."""
    assert parse_labels(b"cat\n\ndog\n") == ("cat", "class 1", "dog")


def test_commas_in_plain_lines_stay():
    """ImageNet's lines hold several names with commas between."""
    text = b"tench, Tinca tinca\ngoldfish, Carassius auratus\n"

    assert parse_labels(text) == ("tench, Tinca tinca", "goldfish, Carassius auratus")


BROKEN = [
    pytest.param(b"", "empty", id="nothing"),
    pytest.param(b" \n\n", "empty", id="blank lines"),
    pytest.param(b"cat\0dog", "not text", id="binary"),
    pytest.param(b'["cat", "dog"', "JSON", id="JSON cut short"),
    pytest.param(b'{"a": {"b": 1.5}}', "no labels", id="JSON of something else"),
    pytest.param(b'["cat", 1.5]', "entry 1", id="a JSON entry that is no label"),
    pytest.param(b"[" * 100_000, "JSON", id="JSON nested deep"),
    pytest.param(b'{"0": "cat", "9999999": "dog"}', "no labels", id="a huge number"),
    pytest.param(b'{"0": "cat", "999999": "dog"}', "no class numbers", id="a far number"),
    pytest.param(b"index,label\n0,cat\n0,dog\n", "two labels", id="one number twice"),
    pytest.param(b"image,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\n", "pictures", id="a data set"),
    pytest.param(b"item { name: 'x' }", "no id", id="an item without id"),
    pytest.param(b"names:\nnc: 3\n", "names:", id="YAML without names"),
    pytest.param(b"x" * 2000, "2,000 characters", id="one long line"),
    pytest.param(b"a\n" * 100_001, "100,001", id="too many"),
]


@pytest.mark.parametrize(("data", "said"), BROKEN)
def test_what_is_no_labels_file_is_said(data, said):
    """Each error says what was wrong with the file."""
    with pytest.raises(LabelsError, match=said):
        parse_labels(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{0: 'person', 1: 'car'}", ("person", "car")),
        ("['person', 'car']", ("person", "car")),
        ('["person", "car"]', ("person", "car")),
        ("person, car", ("person", "car")),
        ("person\ncar", ("person", "car")),
        ("{1: [}", None),
        ("", None),
    ],
)
def test_labels_in_a_model_files_properties(text, expected):
    """Exporters write labels into one text property in several ways."""
    assert expected == parse_property(text)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_bytes_raise_anything_else(data):
    """Whatever a file holds, labels or LabelsError come out."""
    try:
        labels = parse_labels(data)
    except LabelsError:
        return
    assert labels


@given(st.text(alphabet="{}[]\"':,0123 abitem\nnames-\\", max_size=80))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_no_text_of_their_own_signs_raises_anything_else(text):
    """Texts made of the shapes' own signs neither crash nor hang."""
    try:
        labels = parse_labels(text.encode())
    except LabelsError:
        return
    assert labels


@given(st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=1, unique=True))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_json_both_ways_round_agree(names):
    """Number-to-name and name-to-number of the same classes give the same labels."""
    forth = json.dumps({str(number): name for number, name in enumerate(names)})
    back = json.dumps({name: number for number, name in enumerate(names)})

    assert parse_labels(forth.encode()) == parse_labels(back.encode()) == tuple(names)
