"""The files of ``deploy/kubernetes`` hold to the schemas, and say what the code does."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tintype.cli.server import _DRAIN_SECONDS
from tintype.cluster.config import front_seconds, serve_config
from tintype.cluster.unanswered import VARIABLES
from tintype.record import pictures, recorder
from tintype.settings import Settings, all_settings, read_settings

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
PLAIN = [*yaml.safe_load_all((FOLDER / "tintype.yaml").read_text())]
RAY = yaml.safe_load((FOLDER / "rayservice.yaml").read_text())
CLUSTER = RAY["spec"]["rayClusterConfig"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
DOCKERFILE = (FOLDER / "Dockerfile").read_text()

# Of KubeRay's custom resource no schema is packaged: these are the fields of ray.io/v1, read off
# its definition (ray-operator/apis/ray/v1 in ray-project/kuberay) for what is used here. The
# templates of pods, nearly all of that definition, are held to Kubernetes' own schema.
FIELDS = {
    "": ({"apiVersion", "kind", "metadata", "spec"}, {"spec"}),
    "spec": ({"serveConfigV2", "rayClusterConfig"}, {"rayClusterConfig"}),
    "cluster": (
        {"rayVersion", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"},
        {"headGroupSpec"},
    ),
    "head": ({"rayStartParams", "template"}, {"rayStartParams", "template"}),
    "worker": (
        {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
        {"groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"},
    ),
}


@pytest.mark.parametrize("document", PLAIN, ids=lambda each: each["kind"])
def test_what_needs_no_ray_holds_to_kubernetes_schemas(document):
    """Every field is known and of its kind: strict."""
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("group", GROUPS, ids=["head", "workers"])
def test_the_pods_of_ray_hold_to_kubernetes_schemas(group):
    """The templates as the pods that they become."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (RAY, ""),
        (RAY["spec"], "spec"),
        (CLUSTER, "cluster"),
        (CLUSTER["headGroupSpec"], "head"),
        *((group, "worker") for group in CLUSTER["workerGroupSpecs"]),
    ],
)
def test_the_ray_service_has_fields_of_its_definition(part, where):
    """None that is unknown, and those that must be there."""
    known, needed = FIELDS[where]
    assert needed <= {*part} <= known


def test_parameters_of_ray_start_are_texts():
    """The definition wants texts, and YAML makes numbers."""
    given = [value for group in GROUPS for value in group["rayStartParams"].values()]
    assert [] == [value for value in given if not isinstance(value, str)]


def test_the_serve_config_is_what_the_command_line_prints():
    """With the settings of the file, and the secrets that its pods have as variables."""
    config = yaml.safe_load(RAY["spec"]["serveConfigV2"])
    args = config["applications"][0]["args"]
    secrets = {
        "record.database": "postgresql://tintype:hidden@database/tintype",
        "limits.redis": "redis://:hidden@redis:6379/0",
    }
    settings = read_settings(environment={}, flags={**args["settings"], **secrets})
    assert RAY["spec"]["serveConfigV2"] == serve_config(tuple(args["models"]), settings)


def test_ray_takes_the_serve_config(tmp_path):
    """Its own schema, and our builder by its import path."""
    path = tmp_path / "config.yaml"
    path.write_text(RAY["spec"]["serveConfigV2"])
    program = (
        "import sys, yaml; from ray.serve.schema import ServeDeploySchema;"
        "from ray._common.utils import import_attr;"
        "read = ServeDeploySchema.model_validate(yaml.safe_load(open(sys.argv[1])));"
        "print(import_attr(read.applications[0].import_path).__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert "tintype.cluster.app\n" == done.stdout, done.stderr


def test_one_ray_everywhere():
    """The version that is tested, that the pods are told of, and that their image has."""
    version = importlib.metadata.version("ray")
    assert version == CLUSTER["rayVersion"]
    assert f"rayproject/ray:{version}-py311" in DOCKERFILE


def test_ray_s_server_in_the_image_has_our_last_word():
    """As it has where ``--on ray`` starts it."""
    assert VARIABLES.items() <= {*re.findall(r"(RAY_\w+)=([^\s\\]+)", DOCKERFILE)}


@pytest.mark.parametrize("file", ["tintype.yaml", "rayservice.yaml", "Dockerfile"])
def test_every_variable_is_a_setting(file):
    """An unknown one would stop the start."""
    known = {setting.variable for setting in all_settings(Settings())}
    assert {*re.findall(r"TINTYPE_\w+", (FOLDER / file).read_text())} <= known


def test_pods_have_the_time_to_finish():
    """The pause before, the requests that are under way, the record and the kept pictures."""
    (deployment,) = (each for each in PLAIN if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    writing = recorder.LEAVE_SECONDS + pictures.LEAVE_SECONDS
    assert pause + _DRAIN_SECONDS + writing < pod["terminationGracePeriodSeconds"]
    workers = CLUSTER["workerGroupSpecs"][0]["template"]["spec"]
    assert front_seconds(Settings()) < workers["terminationGracePeriodSeconds"]


def test_secrets_are_secrets():
    """No address of a database stands in a file, and none in the config of Ray."""
    words = "".join((FOLDER / name).read_text() for name in ("tintype.yaml", "rayservice.yaml"))
    plain = [line for line in words.splitlines() if not line.lstrip().startswith("#")]
    assert not re.search(r"postgresql://|redis://", "\n".join(plain))
