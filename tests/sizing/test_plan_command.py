"""`doorbuster plan`: from a recorded run, as manifests, and compared with runs that were measured."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from doorbuster.cli.plan import command
from doorbuster.errors import UsageError
from doorbuster.locust_process import LocustProcess, local_workers
from doorbuster.records.reader import Run
from doorbuster.scenario import read_scenario
from doorbuster.sizing.fleet import peak_load, plan_fleet
from doorbuster.sizing.generator_cost import measure_cost

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "reports/sample"
ELSEWHERE = """
title: A peak elsewhere
target: {storefront: reference, url: "https://staging.example.com"}
demand: {peak: 400 customers/s, curve: {stages: [{for: 10m, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 60, buy: 40}}}
safety: {allow: [staging.example.com], max_rate: 4000 requests/s}
"""
STEADY = """
title: Steady
target: {{storefront: reference, shop: {{profile: replatformed, query_time: 1ms}}}}
demand: {{peak: {rate} customers/s, curve: {{stages: [{{for: 3s, at: 30%}}, {{for: 9s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{browse: 1}}, think: {{constant: 500ms}}, patience: none}}}}
safety: {{max_rate: 5000 requests/s}}
drain: 20s
"""


def plan(*words: object) -> str:
    done = CliRunner().invoke(command, list(map(str, words)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture
def elsewhere(tmp_path):
    file = tmp_path / "elsewhere.yaml"
    file.write_text(ELSEWHERE)
    return file


def test_a_plan_from_a_recorded_run_names_its_source(elsewhere):
    said = plan(elsewhere, "--from", SAMPLE)
    for label in (
        "workers",
        "cores",
        "memory",
        "ports",
        "source addresses",
        "bandwidth",
        "master",
        "run file",
    ):
        assert f"\n{label} " in said
    assert f"in the run {SAMPLE}" in said


def test_the_manifests_have_the_numbers_of_the_plan(elsewhere, tmp_path):
    own = tmp_path / "my_shop.py"
    own.write_text("")
    folder = tmp_path / "peak"
    said = plan(elsewhere, "--from", SAMPLE, "--kubernetes", folder, "--locustfile", f"retail_peak.py,{own}")
    workers = int(said.partition("\nworkers")[2].split()[0].strip(","))
    read = {path.name: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
    assert "shop.yaml" not in read
    assert "shop.yaml" not in read["kustomization.yaml"]["resources"]
    assert read["kustomization.yaml"]["configMapGenerator"][0]["files"] == ["scenario.yaml", "my_shop.py"]
    assert (folder / "my_shop.py").exists()
    jobs = read["workers.yaml"]["spec"]
    assert workers == jobs["parallelism"] == jobs["completions"] > 1
    args = read["master.yaml"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--expect-workers={workers}" in args
    assert "--locustfile=retail_peak.py,/scenario/my_shop.py" in args
    assert not any("confirm-host" in arg for arg in args)
    with pytest.raises(UsageError, match="is not empty"):
        plan(elsewhere, "--from", SAMPLE, "--kubernetes", folder)


def test_pods_cannot_share_the_embedded_shop(tmp_path):
    with pytest.raises(UsageError, match="name the shop with --url"):
        plan("smoke", "--from", SAMPLE, "--kubernetes", tmp_path / "peak")


@pytest.mark.parametrize("words", [
        ["--peak", "5"], ["--response", "0s"], ["--peak", "0/s"], ["--peak", "9" * 400 + "/s"],
        ["--at-once", "inf"], ["--at-once", "nan"], ["--at-once", "1e308"], ["--at-once", "0"],
    ],
)  # fmt: skip
def test_quantities_need_a_unit_and_a_value(words):
    done = CliRunner().invoke(command, ["smoke", "--from", str(SAMPLE), *words])
    assert done.exit_code == 2
    assert "Invalid value for" in done.output


def recorded(folder: Path, rate: int, workers: int) -> None:
    """A run of the steady scenario."""
    folder.mkdir()
    (folder / "steady.yaml").write_text(STEADY.format(rate=rate))
    options = ["--scenario", str(folder / "steady.yaml"), "--run-folder", str(folder)]
    options += local_workers(workers) if workers > 1 else []
    LocustProcess(ROOT / "locustfiles/retail_peak.py", options, folder).exit_code()


@pytest.mark.truth
@pytest.mark.alone
def test_a_plan_from_a_small_run_predicts_the_processor_time_of_one_and_of_two_workers(tmp_path):
    recorded(tmp_path / "small", 12, 1)
    with Run.open(tmp_path / "small") as run:
        cost = measure_cost(run)
    for workers, rate in ((1, 30), (2, 40)):
        recorded(tmp_path / f"with-{workers}", rate, workers)
        with Run.open(tmp_path / f"with-{workers}") as run:
            steady = [row for rows in run.health().values() for row in rows if 7 <= row.second < 11]
            n = len(run.health())
            traffic = [run.traffic()[second].requests for second in range(7, 11)]
        used = sum(row.cpu_ratio for row in steady) / 4
        load = peak_load(read_scenario(STEADY.format(rate=rate)), response_s=0.02)
        assert load.requests_per_s == pytest.approx(sum(traffic) / 4, rel=0.25)
        predicted, _, upper = cost.cores(sum(traffic) / 4, rate, n)
        print(f"{workers} workers: {used:.3f} cores measured, {predicted:.3f} predicted")
        assert used == pytest.approx(predicted, rel=0.4)
        assert plan_fleet(load, cost).workers <= n
        assert used <= 1.4 * upper


@pytest.mark.truth
def test_the_manifests_satisfy_the_schemas_of_three_versions(elsewhere, tmp_path):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    plan(elsewhere, "--from", SAMPLE, "--kubernetes", tmp_path / "peak")
    for folder in (tmp_path / "peak", ROOT / "deploy/kubernetes"):
        files = [
            path for path in folder.glob("*.yaml") if path.name not in ("scenario.yaml", "kustomization.yaml")
        ]
        for document in (one for path in files for one in yaml.safe_load_all(path.read_text())):
            for version in ("1.30", "1.34", "1.37"):
                kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.truth
def test_kustomize_builds_them(elsewhere, tmp_path):
    if (
        shutil.which("kubectl") is None
        or subprocess.run(["kubectl", "kustomize", "--help"], capture_output=True).returncode
    ):
        pytest.skip("kubectl is not installed")
    plan(elsewhere, "--from", SAMPLE, "--kubernetes", tmp_path / "peak")
    for folder in (tmp_path / "peak", ROOT / "deploy/kubernetes"):
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
        kinds = [one["kind"] for one in yaml.safe_load_all(done.stdout)]
        assert kinds.count("Job") == 2
        assert "ConfigMap" in kinds
        assert sys.version_info >= (3, 11)
