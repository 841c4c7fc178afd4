"""The examples for the two operators: fields that their resources have, and arguments that a run accepts."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from doorbuster.locust_process import KEY_VARIABLE
from doorbuster.records.reader import Run

ROOT = Path(__file__).parents[2]
OPERATORS = ROOT / "deploy" / "kubernetes" / "operators"
NAMES = ("locusttest-v1", "locusttest-v2")

# Fields of `spec`, and those within them; None: anything, such as a Kubernetes type.
_ROLE = {"labels": None, "annotations": None, "resources": None}
FIELDS: dict[str, dict[str, Any]] = {
    "locust.io/v1": {  # locustio/k8s-operator, chart 0.1.9
        **dict.fromkeys(("image", "imagePullPolicy", "imagePullSecrets", "workers", "args", "labels")),
        "annotations": None, "env": None, "metrics": None, "master": _ROLE, "worker": _ROLE,
        "locustfile": {"content": None, "configMap": None},
    },
    "locust.io/v2": {  # AbdelrhmanHamouda/locust-k8s-operator 2.3.0
        **dict.fromkeys(("image", "imagePullPolicy", "imagePullSecrets", "volumes", "volumeMounts")),
        "master": {**_ROLE, "command": None, "extraArgs": None, "autostart": None,
                   "autoquit": {"enabled": None, "timeout": None}},
        "worker": {**_ROLE, "command": None, "extraArgs": None, "replicas": None},
        "testFiles": dict.fromkeys(("configMapRef", "libConfigMapRef", "srcMountPath", "libMountPath")),
        "env": dict.fromkeys(("configMapRefs", "secretRefs", "variables", "secretMounts")),
        "security": {"podSecurityContext": None, "containerSecurityContext": None},
        "scheduling": None, "observability": None,
    },
}  # fmt: skip
REQUIRED = {"locust.io/v1": ["workers"], "locust.io/v2": ["image", "master", "worker"]}


def example(name: str) -> dict[str, Any]:
    return yaml.safe_load((OPERATORS / f"{name}.yaml").read_text(encoding="utf-8"))


def unknown_fields(found: dict[str, Any], known: dict[str, Any], place: str) -> list[str]:
    """Fields that a cluster would refuse, or drop without a word."""
    unknown = [f"{place}.{key}" for key in found if key not in known]
    for key, inner in known.items():
        if inner is not None and key in found:
            unknown += unknown_fields(found[key], inner, f"{place}.{key}")
    return unknown


@pytest.mark.parametrize("name", NAMES)
def test_the_resource_has_every_field_of_the_example(name):
    document = example(name)
    version, spec = document["apiVersion"], document["spec"]
    assert document["kind"] == "LocustTest"
    assert unknown_fields(spec, FIELDS[version], "spec") == []
    assert [key for key in REQUIRED[version] if key not in spec] == []
    mounted = {mount["name"] for mount in spec.get("volumeMounts", ())}
    assert mounted == {volume["name"] for volume in spec.get("volumes", ())}


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_satisfy_the_schemas_of_the_operators(name):
    """DOORBUSTER_CRDS: a folder with the operators' CustomResourceDefinitions, by the name of the example."""
    folder = os.environ.get("DOORBUSTER_CRDS")
    if not folder:
        pytest.skip("set DOORBUSTER_CRDS to a folder with the operators' CRDs")
    import jsonschema

    document = example(name)
    definition = yaml.safe_load((Path(folder) / f"{name}.yaml").read_text())
    group, version = document["apiVersion"].split("/")
    assert group == definition["spec"]["group"]
    (schema,) = [
        one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"] if one["name"] == version
    ]
    jsonschema.validate(document, strict(schema))


def strict(schema: Any) -> Any:
    """The schema with unknown fields refused, which a cluster would drop without a word."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and "additionalProperties" not in schema:
        top = {"apiVersion": {}, "kind": {}, "metadata": {}} if "status" in schema["properties"] else {}
        changed |= {"additionalProperties": False, "properties": {**top, **changed["properties"]}}
    return changed


# A run with the arguments that the operators give to the containers

SCENARIO = """\
title: By an operator
target: {storefront: reference, shop: {profile: replatformed, query_time: 1ms, products: 200}}
demand: {peak: 4 customers/s, curve: {stages: [{for: 4s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}, patience: none, think: {constant: 100ms}}}
drain: 20s
"""


def containers(document: dict[str, Any]) -> tuple[list[str], list[str], int]:
    """The arguments of master and workers, and the number of workers, as each operator makes them."""
    spec = document["spec"]
    if document["apiVersion"] == "locust.io/v1":
        args = shlex.split(spec["args"])
        return ["--master", *args], ["--worker", "--master-host", "master", *args], spec["workers"]
    n = spec["worker"]["replicas"]
    master = [
        *spec["master"]["command"].split(), "--master", "--master-port=5557", f"--expect-workers={n}",
        "--autostart", "--autoquit", str(spec["master"]["autoquit"]["timeout"]), "--enable-rebalancing",
        "--only-summary",
    ]  # fmt: skip
    worker = [*spec["worker"]["command"].split(), "--worker", "--master-port=5557", "--master-host=master"]
    return master, worker, n


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.mark.truth
@pytest.mark.parametrize("name", NAMES)
def test_a_run_accepts_the_arguments_of_the_operator(name, tmp_path):
    document, port = example(name), free_port()
    if "env" in document["spec"]:
        document["spec"]["master"]["autoquit"]["timeout"] = 1
    master, worker, n = containers(document)
    (tmp_path / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    here = {"/opt/doorbuster": str(ROOT), "/lotest/src": str(tmp_path), "/scenario/": f"{tmp_path}/",
            "/tmp/run": str(tmp_path / "run"), "0.0.0.0": "127.0.0.1", "5557": port,
            "=master": "=127.0.0.1"}  # fmt: skip

    def start(args: list[str], *more: str) -> subprocess.Popen[str]:
        changed = ["127.0.0.1" if arg == "master" else arg for arg in args]
        for old, new in here.items():
            changed = [arg.replace(old, new) for arg in changed]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment |= {KEY_VARIABLE: "k" * 32} if "env" in document["spec"] else {}
        return subprocess.Popen(
            [sys.executable, "-m", "doorbuster.load.plain_locust", *changed, *more], cwd=tmp_path, text=True,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    processes = [start(master, "--master-bind-port", port, "--web-port", free_port())]
    processes += [start(worker, "--master-port", port) for _ in range(n)]
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes[1:]] == [0] * n, said
    assert processes[0].returncode in (0, 96), said[0]
    assert "doorbuster: PASS" in said[0] or "doorbuster: INCONCLUSIVE" in said[0]
    with Run.open(tmp_path / "run") as run:
        assert run.meta.status == "finished"
        assert run.meta.workers == n
