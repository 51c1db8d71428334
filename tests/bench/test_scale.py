"""The plan past one machine: its arithmetic, its simulation, and the guide that tells both."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/scale.md").read_text()


@pytest.fixture
def scale(bench):
    """The arithmetic."""
    return bench("scale")


@pytest.fixture
def simulation(bench):
    """The simulation."""
    return bench("scale_simulation")


@pytest.fixture
def queueing(bench):
    """What is simulated."""
    return bench("queueing")


@pytest.fixture
def found(scale):
    """What was measured."""
    return json.loads(scale.COSTS.read_text())


@pytest.fixture
def two_nodes(scale):
    """What was measured with Ray."""
    return json.loads(scale.TWO_NODES.read_text())


@pytest.fixture
def cost(scale):
    """A request in round numbers: ten milliseconds, six of them the engine's."""
    return scale.Costs(
        loop_ms=1,
        pictures_ms=2,
        engine_ms=6,
        record_ms=1,
        refusal_ms=0.1,
        proxy_ms=0.1,
        redis_ms=0.02,
        database_ms=0.05,
        written_a_second=10_000,
        request_bytes=50_000,
        answer_bytes=1000,
        stored_bytes=1000,
        log_bytes=2000,
        process_mib=256,
        ray_ms=5,
    )


@pytest.fixture
def assumed(scale):
    """Half of everything is planned for."""
    return scale.Assumed(busy=0.5, gpu_rate=1000, framing=1.0)


@pytest.fixture
def service(queueing):
    """The same request, all alike."""
    return queueing.Service(loop=0.002, pictures=0.002, engine=0.006, refusal=0.0001)


def told(name):
    """A table of the guide."""
    return re.search(rf"<!-- scale: {name} -->\n(.*?)\n<!-- end -->", GUIDE, re.DOTALL)[1]


def test_the_guide_has_the_tables_of_the_script(scale, found, two_nodes):
    """``bench/scale.py --write docs/guides/scale.md`` puts them there."""
    for name, table in scale.tables(found, two_nodes).items():
        assert table == told(name)


def test_the_guide_has_the_table_of_the_simulation(scale, simulation, found, two_nodes):
    """``bench/scale_simulation.py --write docs/guides/scale.md`` puts it there; the same seed."""
    assert simulation.small_table(found, scale.costs(found, two_nodes)) == told("small")


def test_the_guide_names_settings_that_are_there():
    """Every knob is a row of the reference."""
    known = set(
        re.findall(
            r"^\| `(\w+\.\w+)`", (ROOT / "docs/reference/settings.md").read_text(), re.MULTILINE
        )
    )
    sections = {name.partition(".")[0] for name in known}
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)(?: = [^`]*)?`", GUIDE))
    assert set() == {name for name in named if name.partition(".")[0] in sections} - known
    assert {"batching.max_batch", "record.database", "limits.redis", "pictures.keep"} <= named


def test_a_plan_grows_with_the_rate_and_keeps_half_of_everything_free(scale, cost, assumed):
    """Ten milliseconds at 10,000 a second are 100 busy cores, so 200."""
    plan = scale.plan(10_000, cost, assumed)
    assert (200, 50, 1) == (plan.cores, plan.pods, plan.cells)
    assert pytest.approx((2.0, 1.0)) == (plan.proxy_cores, plan.database_cores)
    assert 100 == scale.plan(1_000_000, cost, assumed).cells


def test_a_plan_for_gpus_keeps_the_work_around_them(scale, cost, assumed):
    """A GPU takes the engine's time and no other."""
    plan = scale.plan(10_000, cost, assumed)
    assert (20, 80) == (plan.gpus, plan.cores_around_gpus)


def test_a_plan_counts_bits_on_the_wire_and_bytes_on_the_disk(scale, cost, assumed):
    """50,000 bytes 10,000 times a second are 4 Gbit/s; a thousand of each in a record 864 GB."""
    plan = scale.plan(10_000, cost, assumed)
    assert pytest.approx((4.0, 0.08)) == (plan.in_gbit, plan.out_gbit)
    assert pytest.approx((864.0, 43.2)) == (plan.database_gb_a_day, plan.kept_tb_a_day)


def test_one_pod_is_never_planned(scale, cost):
    """One alone is gone when it is replaced."""
    assert 2 == scale.plan(1, cost).pods


def test_the_first_limit_is_the_smallest(scale, cost, assumed):
    """A core that does all, here."""
    rates = [limit.rate for limit in scale.limits(cost, assumed)]
    assert sorted(rates) == rates
    assert pytest.approx(100) == rates[0]


def test_ray_takes_what_is_missing_on_the_same_cores(scale):
    """Two cores gave 200 answers a second without it and 100 with it: ten milliseconds each."""
    rows = [
        {"connections": 32, "replicas": replicas, "rate": rate}
        for replicas, rate in ((0, 200), (1, 90), (2, 100))
    ]
    assert pytest.approx(10) == scale.ray_ms({"rows": rows})


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.04213, "0.042"), (6.77, "6.8"), (89.83, "89.8"), (11_134.4, "11,100")],
)
def test_numbers_tell_no_more_than_is_known(scale, value, words):
    """Two or three digits."""
    assert words == scale.number(value)


def test_a_page_without_a_mark_is_refused(scale):
    """A table that would get lost."""
    with pytest.raises(SystemExit, match="0 places marked plans"):
        scale.put("text", {"plans": "| a |"})


@pytest.mark.parametrize(
    ("thread", "stage"),
    [
        ("MainThread", "loop"),
        ("pictures", "pictures"),
        ("engine-openvino", "engine"),
        ("not Python's (the engine's own)", "engine"),
        ("record", "record and log"),
    ],
)
def test_cpu_time_is_counted_to_a_stage_by_the_name_of_its_thread(serving, thread, stage):
    """The engine's library has threads without a name of Python's."""
    assert stage == serving("request_cost").stage_of(thread)


def test_a_lone_request_takes_its_own_time(queueing, service):
    """Nobody is there to wait for."""
    outcome = queueing.closed_load(queueing.Shape(), service, connections=1, seconds=1)
    assert pytest.approx(0.010) == outcome.quantile(0.5) == outcome.quantile(0.99)


def test_a_full_core_answers_as_often_as_it_can(queueing, service):
    """A hundred times ten milliseconds a second."""
    outcome = queueing.closed_load(queueing.Shape(), service, connections=8, seconds=5)
    assert pytest.approx(100, rel=0.03) == outcome.rate
    assert pytest.approx(0.080, rel=0.1) == outcome.quantile(0.5)


def test_who_finds_a_process_idle_takes_longer(queueing, service):
    """Its code is in no cache then; behind others it is."""
    cold = dataclasses.replace(service, singly=0.005)
    alone = queueing.closed_load(queueing.Shape(), cold, connections=1, seconds=1)
    crowd = queueing.closed_load(queueing.Shape(), cold, connections=8, seconds=5)
    assert pytest.approx(0.015) == alone.quantile(0.5)
    assert pytest.approx(100, rel=0.03) == crowd.rate


def test_callers_on_the_same_cores_take_their_share(queueing, service):
    """Ten milliseconds for the server and ten for the caller; elsewhere these only pass."""
    far = dataclasses.replace(service, client=0.010)
    beside = queueing.Shape(callers_beside=True)
    rates = [
        queueing.closed_load(shape, far, connections=8, seconds=5).rate
        for shape in (queueing.Shape(), beside)
    ]
    assert pytest.approx([100, 50], rel=0.04) == rates


def test_pictures_are_made_beside_a_run_where_a_core_has_no_stream(queueing, service):
    """Six milliseconds of the engine bound it then, and not eight of one thread that does both."""
    one = queueing.Shape(cores=2, streams=1)
    outcome = queueing.closed_load(one, service, connections=8, seconds=5)
    assert 125 < outcome.rate < 1000 / 6


def test_two_machines_answer_twice_as_often(queueing, service):
    """They share nothing."""
    shape = queueing.Shape(machines=2)
    outcome = queueing.open_load(shape, service, rate=180, seconds=5, arrivals=queueing.even)
    assert pytest.approx(180, rel=0.01) == outcome.rate
    assert 0 == outcome.refused


def test_a_flood_is_refused_as_the_product_refuses_it(queueing, service):
    """Three times as much as can be answered: what is answered stays, the wait is bounded."""
    outcome = queueing.open_load(
        queueing.Shape(), service, rate=300, seconds=5, arrivals=queueing.even
    )
    assert 0.9 < outcome.rate / 100 < 1.02
    assert 0.6 < outcome.refused_share < 0.7
    assert outcome.quantile(0.99) < 1.2


def test_an_event_loop_bounds_a_process_however_many_cores_it_has(queueing, service):
    """Two milliseconds of the loop: five hundred a second at most, on cores for three times that.

    Less under load, since the loop also takes in what it has no time to answer.
    """
    shape = queueing.Shape(cores=16, streams=16, quantum=float("inf"))
    outcome = queueing.open_load(shape, service, rate=700, seconds=2)
    assert 400 < outcome.rate <= 500


def test_chance_is_the_same_each_time(queueing, service):
    """So the guide can be checked."""
    spread = dataclasses.replace(service, spread=(0.5, 1.5))
    first, second = (
        queueing.open_load(queueing.Shape(), spread, rate=80, seconds=2).answered for _ in range(2)
    )
    assert first == second


def test_the_time_of_a_thread_that_makes_and_runs_is_parted(serving):
    """By what the answers tell of decoding and preparing; pictures made elsewhere stay there."""
    parted = serving("request_cost").parted
    assert {"loop": 1.0, "pictures": 2.0, "engine": 3.0} == parted(
        {"loop": 1.0, "engine": 5.0}, made=2.0
    )
    assert {"pictures": 2.5, "engine": 3.0} == parted({"pictures": 2.5, "engine": 3.0}, made=2.0)


def test_the_gpu_of_the_plan_is_the_one_that_was_measured(scale):
    """ResNet50 behind the batcher, in float32."""
    measured = json.loads((ROOT / "bench/results/gpu.json").read_text())
    found = measured["models"]["resnet50"]["engine"]["f32"]["batched"]["256"]
    assert (64, found["rate"]) == (found["mean_batch"], scale.ASSUMED.gpu_rate)
