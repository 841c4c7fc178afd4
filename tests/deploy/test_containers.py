"""The image and the manifests: rules that a linter would check, and the same steps in a clean environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from doorbuster.scenario import read_scenario

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"


def instructions() -> list[tuple[str, str]]:
    """(word, arguments) of each instruction of the Containerfile; continued lines are joined."""
    text = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def test_every_base_is_pinned_by_a_digest_or_an_earlier_stage():
    known: set[str] = set()
    for stage in stages():
        base, _, name = stage[0][1].partition(" AS ")
        assert base in known or base == "${BASE_IMAGE}:${BASE_TAG}@${BASE_DIGEST}", base
        assert name, "a stage without a name"
        known.add(name)
    assert ("ARG", "BASE_DIGEST") in instructions(), "the digest has no default that would grow old"


def test_the_image_runs_without_root_and_needs_no_writable_root():
    runtime = next(stage for stage in stages() if stage[0][1].endswith("AS runtime"))
    (user,) = [rest for word, rest in runtime if word == "USER"]
    assert user.split(":")[0].isdigit(), "Kubernetes can check runAsNonRoot only for a number"
    assert int(user.split(":")[0]) > 0
    (environment,) = [rest for word, rest in runtime if word == "ENV"]
    assert "HOME=/tmp" in environment
    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert not [rest for word, rest in runtime if word == "RUN"], "nothing is built in what runs"


def test_linter_rules():
    for word, rest in instructions():
        assert word != "ADD", "DL3020: use COPY"
        assert word != "MAINTAINER", "DL4000"
        if word in ("ENTRYPOINT", "CMD"):
            assert rest.startswith("["), f"DL3025: {word} in JSON notation, so that signals arrive"
        if word == "WORKDIR":
            assert rest.startswith("/"), "DL3000: absolute"
        if word == "RUN":
            assert "sudo" not in rest, "DL3004"
            assert "apt-get upgrade" not in rest, "DL3005"
            if "apt-get install" in rest:
                assert "--no-install-recommends" in rest, "DL3015"
                assert "-y" in rest.split(), "DL3014"
                assert "rm -rf /var/lib/apt/lists/*" in rest, "DL3009"
            if "pip install" in rest:
                assert "--no-cache-dir" in rest, "DL3042"
                assert "-c constraints.txt" in rest, "DL3013: versions"
            assert "|" not in rest, "DL4006: no pipe, since podman ignores SHELL in images of OCI's format"
        assert word != "SHELL", "podman ignores it"
    assert instructions()[-2] == ("ENTRYPOINT", '["doorbuster"]'), "built without --target"


def test_the_context_has_what_the_build_needs():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in kept:
        assert (ROOT / name).exists(), name
    assert {"doorbuster", "pyproject.toml", "constraints.txt", "hatch_build.py", "deploy/kubernetes"} <= kept


def containers(path: Path):
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        template = document.get("spec", {}).get("template")
        if template:
            for container in template["spec"]["containers"]:
                yield document, template["spec"], container


WORKLOADS = ("master.yaml", "workers.yaml", "shop.yaml")


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_are_confined(name):
    ((_, pod, container),) = containers(KUBERNETES / name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "cpu" not in container["resources"]["limits"], "throttling delays arrivals"
    for variable in container.get("env", ()):
        if "KEY" in variable["name"]:
            assert "secretKeyRef" in variable["valueFrom"], "secrets by reference"


def test_master_and_workers_agree():
    ((master_job, _, master),) = containers(KUBERNETES / "master.yaml")
    ((worker_job, _, worker),) = containers(KUBERNETES / "workers.yaml")
    n = worker_job["spec"]["parallelism"]
    assert n == worker_job["spec"]["completions"]
    assert worker_job["spec"]["completionMode"] == "Indexed"
    assert f"--expect-workers={n}" in master["args"]
    assert master_job["spec"]["backoffLimit"] == worker_job["spec"]["backoffLimit"] == 0
    service = yaml.safe_load((KUBERNETES / "service.yaml").read_text())
    assert f"--master-host={service['metadata']['name']}" in worker["args"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= master_job["spec"]["template"]["metadata"]["labels"].items()
    environment = {variable["name"]: variable.get("value") for variable in master["env"]}
    assert environment["DOORBUSTER_TERMINATION_MESSAGE"] == master["terminationMessagePath"]


def test_the_commands_of_the_pods_exist():
    import click

    from doorbuster.cli import doorbuster

    for name in WORKLOADS:
        for _, _, container in containers(KUBERNETES / name):
            verb, *args = container["args"]
            doorbuster.get_command(click.Context(doorbuster), verb).make_context(verb, args)
    for service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values():
        if "image" in service and "command" in service and "doorbuster" in service["image"]:
            verb, *args = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in service["command"]]
            doorbuster.get_command(click.Context(doorbuster), verb).make_context(verb, args)


def test_the_example_scenario_is_valid_and_its_shop_is_the_one_deployed():
    scenario = read_scenario((KUBERNETES / "scenario.yaml").read_text(encoding="utf-8"))
    service = list(yaml.safe_load_all((KUBERNETES / "shop.yaml").read_text()))[1]
    port = service["spec"]["ports"][0]["port"]
    assert scenario.target.url == f"http://{service['metadata']['name']}:{port}"


def test_compose_mounts_files_that_exist():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {"master", "worker", "shop", "prometheus", "grafana"} == set(services)
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source == "./results" or (DEPLOY / source).exists(), source
    assert services["grafana"]["ports"] == ["127.0.0.1:3000:3000"], "not for the whole network"


@pytest.mark.truth
def test_the_steps_of_the_image_in_a_clean_environment(tmp_path):
    """Every RUN of the build but the compiler's installation, then a run without root and without writing."""
    source, target = tmp_path / "src", tmp_path / "opt"
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in kept:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, source / name)
    target.mkdir()
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environment |= {name: os.environ[name] for name in os.environ if name.startswith("PIP_")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = elsewhere
    for word, rest in stages()[0]:
        if word == "WORKDIR":
            folder = source if rest == "/src" else elsewhere
        if word == "RUN" and "apt-get" not in rest:
            command = rest.replace("/opt/doorbuster", str(target / "doorbuster"))
            subprocess.run(["sh", "-c", command], cwd=folder, env=environment, check=True)
    own = target / "doorbuster" / "bin"
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o005 != 0o005 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o005)
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o777)
    scratch.chmod(0o777)
    as_nobody = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups"]
    # An interpreter in the home of root is out of reach: setpriv still starts it, but it starts no other.
    starts_another = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    may = [*as_nobody, own / "python", "-c", starts_another]
    if os.geteuid() or subprocess.run(may, check=False, capture_output=True).returncode:
        as_nobody = []
    done = subprocess.run(
        [*as_nobody, own / "doorbuster", "run", "smoke", "--out", scratch / "run", "--print-summary"],
        cwd=scratch, capture_output=True, text=True, check=False,
        env={"PATH": f"{own}:/usr/bin:/bin", "HOME": str(scratch), "MPLCONFIGDIR": str(scratch),
             "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode in (0, 96), done.stderr
    assert "----- END doorbuster summary" in done.stdout
    assert (target / "doorbuster" / "locustfiles" / "retail_peak.py").exists()
