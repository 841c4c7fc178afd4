"""The compiled build does what the plain one does: it is made in a copy and passes the same tests."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import doorbuster

ROOT = Path(__file__).parent.parent
# Together they send, wait, record, draw, insist and fail. What imports Locust needs a process of its own.
HTTP_TESTS = [f"tests/load/http/test_{name}.py" for name in (
    "client", "connections", "cookies", "hostile_networks", "hostile_servers", "hosts", "tls", "what_is_sent",
)]  # fmt: skip
CUSTOMER_TESTS = [f"tests/load/test_{name}.py" for name in (
    "behaviour", "customer", "other_protocol", "retry_policy", "secondary_metrics", "sleep_scheduler",
)]  # fmt: skip
PROTOCOL_TESTS = [
    "-m",
    "truth or not truth",
    "tests/load/protocols",
    "tests/plain_locust/test_grpc.py",
    "tests/plain_locust/test_websocket.py",
]
# A call in a bound of a slice happens twice where mypyc has no faster way for the type, as for memoryview.
HARMLESS_IN_SLICES = {"len", "start", "end", "ceil"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of library and tests in which the path of a request is compiled."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no C compiler ({compiler})")
    if importlib.util.find_spec("mypyc") is None:
        pytest.skip("mypyc is not installed: pip install 'mypy[mypyc]'")
    folder = tmp_path_factory.mktemp("compiled")
    made = subprocess.run(
        [sys.executable, str(ROOT / "hatch_build.py"), str(folder / "copy")],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-3000:]
    copy = folder / "copy"
    for name in ("tests", "scenarios", "locustfiles", "analysis", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False,
        timeout=900,
    )  # fmt: skip


def test_the_build_is_plain_unless_its_steps_were_compiled(tmp_path: Path):
    assert doorbuster.build() == "plain"
    package = tmp_path / "doorbuster"
    shutil.copytree(ROOT / "doorbuster", package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (package / "load/customers/step_runner.py").rename(
        package / f"load/customers/step_runner{sysconfig.get_config_var('EXT_SUFFIX')}"
    )
    said = run(tmp_path, "-c", "import doorbuster; print(doorbuster.build())")
    assert said.stdout == "compiled\n", said.stderr


def test_no_compiled_module_calls_something_in_the_bounds_of_a_slice():
    """mypyc evaluates the bounds of most slices twice (mypyc/irbuild/expression.py, try_gen_slice_op)."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hatch_build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hatch_build)
    found = [
        f"{path}:{call.lineno}: {ast.unparse(call)}"
        for path in hatch_build.compiled_modules(ROOT)
        for piece in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(piece, ast.Slice)
        for call in ast.walk(piece)
        if isinstance(call, ast.NamedExpr)
        or (
            isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] not in HARMLESS_IN_SLICES
        )
    ]
    assert found == []


@pytest.mark.truth
def test_a_run_of_the_compiled_build_says_so_in_its_versions(compiled: Path):
    said = run(
        compiled, "-c", "from doorbuster.load.runtime.generator_info import generator_info as about;"
        "print(about()['versions']['doorbuster_build'])",
    )  # fmt: skip
    assert said.stdout == "compiled\n", said.stderr


@pytest.mark.truth
@pytest.mark.parametrize(
    "tests", [HTTP_TESTS, CUSTOMER_TESTS, PROTOCOL_TESTS], ids=["client", "customers", "protocols"]
)
def test_the_compiled_build_passes_the_tests_of_the_plain_one(compiled: Path, tests: list[str]):
    done = run(compiled, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
