"""How the benchmark of serving counts: logs, shares, targets, bends."""

import pytest


def row(name, model="mobilenetv2", **loads):
    """A measured row with pinned loads by number of connections."""
    return {
        "name": name,
        "engine": "OpenVINO",
        "model": model,
        "picture": "small",
        "layouts": {"pinned": {"resident_mib": 100.0, "closed": loads}},
    }


def test_a_log_of_h2load_counts_good_answers_alone(serving):
    """A refused request and a lost connection are no answers, and their times do not count."""
    log = "1\t200\t2000\n2\t200\t4000\n3\t503\t10\n4\t-1\t99\n"
    told = serving("load").read_log(log, seconds=2)
    assert (2, 1.0, 2.0) == (told.answered, told.rate, told.p50)
    assert {"200": 2, "503": 1, "0": 1} == told.statuses
    assert 2 == told.failed


def test_a_load_without_answers_has_no_times(serving):
    """None, where a number would be made up."""
    told = serving("load").read_log("1\t503\t10\n", seconds=1)
    assert (None, None) == (told.p50, told.p99)


def test_a_target_holds_tintype_against_the_best_peer(serving):
    """Both as shares of the bare loop around them; a peer that failed does not count."""
    targets = serving("targets")
    rows = targets.by_key(
        [
            row("Tintype", **{"8": {"of_limit": 0.9}}),
            row("mosec + OpenVINO", **{"8": {"of_limit": 0.75}}),
            row("Flask + OpenVINO", **{"8": {"of_limit": 0.5}}),
            {**row("LitServe + OpenVINO"), "failed": "no answer"},
        ]
    )
    (target,) = (each for each in targets.TARGETS if "best peer" in each.words)
    assert pytest.approx(1.2) == target.value(rows)
    assert target.reached(rows) is False


def test_a_target_that_was_not_measured_is_neither_reached_nor_missed(serving):
    """So that a short run tells no untruth."""
    assert {None} == {target.reached({}) for target in serving("targets").TARGETS}


def powers(serving, at, values):
    """Where straight pieces begin, and their powers."""
    return [(piece.begin, round(piece.power, 2)) for piece in serving("curves").pieces(at, values)]


def test_the_power_of_a_curve_is_one_in_proportion_and_zero_when_flat(serving):
    """And what one load is off by is no bend."""
    assert [(1, 1.0)] == powers(serving, (1, 2, 4, 8), (3.0, 6.0, 12.0, 24.0))
    assert [(1, 0.0)] == powers(serving, (1, 2, 4, 8), (3.0, 3.0, 3.0, 3.0))
    assert 1 == len(powers(serving, (1, 2, 4, 8), (3.0, 3.3, 2.9, 3.0)))


def test_a_curve_has_as_few_pieces_as_its_points_allow(serving):
    """Flat up to 4, in proportion up to 32, then flat again."""
    at, values = (1, 2, 4, 8, 16, 32, 64), (2.0, 2.0, 2.0, 4.0, 8.0, 16.0, 16.0)
    assert [(1, 0.0), (4, 1.0), (32, 0.0)] == powers(serving, at, values)


def test_a_curve_says_where_it_bends(serving):
    """Flat up to 4, in proportion from there; a straight one says so, each with its unit."""
    curves = serving("curves")
    panels = (
        curves.Panel(y="ms", series={"cost": [2.0, 2.0, 8.0]}),
        curves.Panel(y="MiB", series={"": [3.0, 12.0, 48.0]}),
    )
    curve = curves.Curve(name="c", title="C", x="models", at=(1, 4, 16), panels=panels)
    assert [
        "- cost, ms: 4.00 times from 1 to 16 models; power 0.00, bends at 4 to power 1.00.",
        "- MiB: 16.00 times from 1 to 16 models; power 1.00, no bend.",
    ] == curves.words_of(curve)


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        ("main (app.py:1);decode (tintype/imaging/decode.py:5)", "decode"),
        ("work (tintype/batching/batcher.py:2);infer (InferRequest.infer)", "the engine's run"),
        ("run (asyncio/runners.py:118)", "the loop itself"),
    ],
)
def test_a_sample_is_counted_to_its_innermost_part(serving, stack, part):
    """What calls it does not count."""
    assert part == serving("hot_path").part_of(stack)
