from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.errors import MalformedRequest, TintypeError
from tintype.types import Point
from tintype.web.options import OPTION_NAMES, Options, read_options


def read(**values):
    return read_options(list(values.items()), max_points=3)


POINTS = (Point(x=10, y=20), Point(x=30.5, y=40))


@pytest.mark.parametrize(
    "value",
    [
        "10,20;30.5,40",
        " 10, 20; 30.5, 40; ",
        "[[10, 20], [30.5, 40]]",
        '[{"x": 10, "y": 20}, {"x": 30.5, "y": 40}]',
        [[10, 20], [30.5, 40]],
        [{"x": 10, "y": 20}, {"y": 40, "x": 30.5}],
        [["10", "20"], ["3.05e1", 40]],
    ],
)
def test_points_may_be_written_in_many_ways(value):
    """Text for forms and addresses, lists and objects for JSON: all mean the same points."""
    assert POINTS == read(points=value).points


@pytest.mark.parametrize("value", ["10,20", [10, 20], {"x": 10, "y": 20}, '{"x":10,"y":20}'])
def test_one_point_needs_no_list(value):
    """A single point is taken without a list around it."""
    assert (Point(x=10, y=20),) == read(points=value).points


def test_x_and_y_make_a_point():
    """Text from a form and numbers from JSON give the same point."""
    assert (Point(x=1.5, y=0),) == read(x="1.5", y="0").points == read(x=1.5, y=0).points


def test_everything_else_is_read_from_text_and_from_json():
    """The same options as form fields and as JSON values are equal."""
    expected = Options(models=("a", "b"), top=3, threshold=0.25, explain=frozenset({"input"}))
    assert expected == read_options(
        [("model", "a"), ("model", "b"), ("top", "3"), ("threshold", "0.25"), ("explain", "input")],
        max_points=1,
    )
    assert expected == read(model=["a", "b"], top=3, threshold=0.25, explain=["input"])


def test_an_empty_field_of_a_form_is_not_given():
    """A form cannot leave a field out, so empty text and null mean nothing."""
    assert Options() == read(x="", y=" ", top="", threshold=None, model="", points="", explain="")


def test_a_model_named_twice_is_asked_once():
    """Names keep their order and are not repeated."""
    assert ("b", "a") == read(model=["b", "a", "b"]).models


@pytest.mark.parametrize(
    "values",
    [
        {"x": 1},
        {"y": 1},
        {"x": 1, "y": 1, "points": "1,1"},
        {"x": -1, "y": 1},
        {"x": "nan", "y": 1},
        {"x": "inf", "y": 1},
        {"x": "1e999", "y": 1},
        {"x": 10**400, "y": 1},
        {"x": "1_0", "y": 1},
        {"x": "٣", "y": 1},
        {"x": True, "y": 1},
        {"x": [1], "y": 1},
        {"x": 1e7, "y": 1},
        {"points": "1"},
        {"points": "1,2,3"},
        {"points": "1,2;;3,4"},
        {"points": "[[1]]"},
        {"points": "[[1, 2]"},
        {"points": "[" * 10_000},
        {"points": [[1, None]]},
        {"points": [{"x": 1}]},
        {"points": [{"x": 1, "y": 2, "z": 3}]},
        {"points": 7},
        {"points": True},
        {"points": "1,1;2,2;3,3;4,4"},
        {"top": 0},
        {"top": 1.5},
        {"top": "ten"},
        {"top": 10**9},
        {"threshold": 1.01},
        {"threshold": -0.1},
        {"threshold": {}},
        {"model": 3},
        {"model": ["a", 3]},
        {"model": [f"m{index}" for index in range(65)]},
        {"explain": "output"},
        {"explain": 1},
        {"explain": ["input", "output"]},
    ],
    ids=lambda values: repr(values)[:40],
)
def test_what_makes_no_sense_is_refused(values):
    """Half points, other than finite numbers, values out of range, lists that are too long."""
    with pytest.raises(MalformedRequest):
        read(**values)


def test_an_unknown_option_is_refused_with_the_nearest_known_one():
    """A misspelt option must not be ignored in silence."""
    with pytest.raises(MalformedRequest) as caught:
        read(tresholt=0.5)
    assert "did you mean 'threshold'?" == caught.value.hint


def test_an_option_given_twice_is_refused():
    """Two values for one option are no answer to which of them holds."""
    with pytest.raises(MalformedRequest, match="top is given 2 times"):
        read_options([("top", "1"), ("top", "2")], max_points=1)


@pytest.mark.parametrize("name", ["url", "path", "image", "images", "file"])
def test_a_picture_is_no_option(name):
    """Where only options are read, the name of a picture is told from an unknown one."""
    with pytest.raises(MalformedRequest, match="is not expected here"):
        read(**{name: "cat.jpg"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.sampled_from(OPTION_NAMES) | st.text(), JSON), max_size=6))
def test_any_value_gives_options_or_a_clear_error(pairs):
    """Whatever JSON is sent, nothing but our own errors escapes, and what passes is in range."""
    try:
        options = read_options(pairs, max_points=3)
    except TintypeError as error:
        assert len(error.message) < 300  # noqa: PT017 - either way is right
    else:
        assert all(0 <= point.x <= 1e6 and 0 <= point.y <= 1e6 for point in options.points)
        assert options.threshold is None or 0 <= options.threshold <= 1
