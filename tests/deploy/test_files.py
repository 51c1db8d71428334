"""The files of ``deploy/`` fit the code, each other, and the tools that read them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tintype.cli.server import _DRAIN_SECONDS
from tintype.record import pictures, recorder
from tintype.settings import Settings, all_settings, read_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "tintype.service").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
GUIDE = (ROOT / "docs/guides/deploy.md").read_text()
ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "tintype.service"])
def test_every_variable_is_a_setting(file):
    """An unknown one would stop the start."""
    known = {setting.variable for setting in all_settings(Settings())}
    assert {*re.findall(r"TINTYPE_\w+", (DEPLOY / file).read_text())} <= known


def test_the_image_copies_what_is_there_and_not_kept_out():
    """Each thing copied exists, and the ignore file lets it pass."""
    lines = [line.split() for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE)]
    names = {name for line in lines for name in line[:-1]}
    passed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert names == {*passed}
    assert all((ROOT / name).exists() for name in names)


def locked(name: str) -> set[str]:
    """Names and versions of a lock file."""
    return {*re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text(), re.MULTILINE)}


def test_the_image_has_the_versions_that_were_tested():
    """Its own lock adds to the other, and moves nothing: made by the same command."""
    assert set() == locked("requirements.txt") - locked("deploy/requirements.txt")


def test_the_image_has_what_a_setting_can_switch_on():
    """The packages of every extra but the engines and those of other verbs, which are large."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    wanted = [
        re.match(r"[\w.-]+", package)[0]
        for extra, packages in extras.items()
        for package in packages
        if extra not in {"batch", "cuda", "onnxruntime", "ray", "tensorflow", "tune"}
    ]
    names = {line.partition("==")[0] for line in locked("deploy/requirements.txt")}
    assert [] == [name for name in wanted if name not in names]


def test_the_image_runs_as_nobody_in_particular():
    """No stage ends as root; the number is for orchestrators that look."""
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.rindex("USER") > DOCKERFILE.rindex("RUN")


def test_the_compose_file_holds_to_the_schema():
    """The Compose Specification's own."""
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [check, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "ok -- validation done\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize("name", [*COMPOSE["services"]])
def test_no_container_is_reachable_from_outside_or_privileged(name):
    """Ports on 127.0.0.1 only, no privileges to gain, a bound on memory."""
    service = COMPOSE["services"][name]
    assert [] == [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert service["mem_limit"]


def test_the_bounds_on_memory_leave_room():
    """Pictures and bodies together stay below the container's limit by half."""
    settings = Settings()
    bound = settings.memory.picture_bytes + settings.uploads.max_bytes_in_flight
    limit = int(COMPOSE["services"]["tintype"]["mem_limit"].removesuffix("g")) << 30
    assert 2 * bound <= limit


def test_whoever_stops_it_waits_longer_than_it_drains():
    """A kill in the middle would break what was accepted, or lose what waits for the record."""
    grace = int(COMPOSE["services"]["tintype"]["stop_grace_period"].removesuffix("s"))
    unit = int(re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[1])
    assert min(grace, unit) > _DRAIN_SECONDS + recorder.LEAVE_SECONDS + pictures.LEAVE_SECONDS


def test_the_container_asks_for_keys_and_knows_its_proxy():
    """Everybody behind a proxy that it did not know would look like the same caller."""
    environment = COMPOSE["services"]["tintype"]["environment"]
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert ("on", network["gateway"]) == (
        environment["TINTYPE_ACCESS_MODE"],
        environment["TINTYPE_SERVER_TRUSTED_PROXIES"],
    )


def test_prometheus_has_the_key_that_it_asks_with():
    """As the secret that the compose file gives it."""
    asked = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]
    (secret,) = COMPOSE["services"]["prometheus"]["secrets"]
    assert f"/run/secrets/{secret}" == asked["authorization"]["credentials_file"]


def test_prometheus_asks_where_the_compose_file_has_it():
    """The service's name and the image's port."""
    asked = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    targets = asked[0]["static_configs"][0]["targets"]
    (name, port) = targets[0].split(":")
    assert name in COMPOSE["services"]
    assert f"EXPOSE {port}\n" in DOCKERFILE


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_reads_the_unit(tmp_path):
    """Without a word; the program's place is that of the test."""
    program = Path(sys.executable).with_name("tintype")
    unit = tmp_path / "tintype.service"
    unit.write_text(UNIT.replace("/opt/tintype/bin/tintype", str(program)))
    command = [ANALYZE, "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_the_unit_is_shut_in():
    """Below 2 of 10 by systemd's own measure of exposure."""
    unit = str(DEPLOY / "tintype.service")
    command = [ANALYZE, "security", "--offline=true", "--threshold=20", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout[-200:]


def test_the_guides_settings_can_be_read(tmp_path):
    """Its file as it is written: keys are asked for from the first start on, the proxy is known."""
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "tintype.toml").write_text(text)
    settings = read_settings(file=tmp_path / "tintype.toml", environment={})
    assert ("127.0.0.1", 8000, ("127.0.0.1",), "on") == (
        settings.server.host,
        settings.server.port,
        settings.server.trusted_proxies,
        settings.access.mode,
    )


_MADE = {".env", "prometheus.key"}
"""Files that the guide has people make."""


def test_the_guide_names_files_that_are_there():
    """Each name under deploy/."""
    names = {*re.findall(r"deploy/([\w.]+\w)", GUIDE)}
    assert names
    assert [] == [name for name in names if name not in _MADE and not (DEPLOY / name).exists()]


def test_the_unit_and_the_guide_agree_on_places():
    """Program, models and settings lie where the guide puts them."""
    start = re.search(r"^ExecStart=(.+)$", UNIT, re.MULTILINE)[1].split()
    for place in (start[0].removesuffix("/bin/tintype"), start[2], start[4]):
        assert place in GUIDE
