"""Rules of the architecture that a machine can check: import arrows, what ships, what is documented."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import click
import pytest
import yaml

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "doorbuster"
EVERYWHERE = {"errors", "units", "output"}
ARROWS = {  # who may import whom, as DESIGN decides
    "errors": set(),
    "units": set(),
    "output": set(),
    "bundled": set(),
    "locust_process": set(),
    "shop_settings": set(),
    "shop_process": {"shop_settings"},
    "observe": set(),
    "observe_process": {"observe"},
    "scenario": {"shop_settings"},
    "storefronts": {"shop_settings"},
    "records": set(),
    "shop": {"shop_settings"},
    "stats": {"records"},
    "gate": {"scenario", "stats", "records"},
    "capacity": {"scenario", "stats", "records", "gate", "locust_process", "shop_process"},
    "sizing": {
        "bundled",
        "scenario",
        "records",
        "capacity",
        "locust_process",
        "shop_process",
        "shop_settings",
    },
    "live": {"scenario", "stats", "records", "gate"},
    "browsers": {"scenario", "records"},
    "load": {
        "scenario",
        "storefronts",
        "records",
        "gate",
        "browsers",
        "live",
        "shop_process",
        "shop_settings",
        "observe",
        "observe_process",
    },
    "report": {"gate", "stats", "records", "scenario", "bundled"},
    "importers": {"records"},
    "upload": set(),
    "streaming": {"records"},
    "access_logs": {"importers", "stats", "scenario", "storefronts", "report"},
    "compare": {"report", "gate", "stats", "records", "scenario", "shop_process", "shop_settings"},
    "history": {"compare", "capacity", "gate", "scenario", "records", "stats", "report"},
    "forecast": {"report", "records", "scenario"},
    "season": {"forecast", "history", "capacity", "report", "gate", "stats", "records", "scenario"},
    "cli": {
        "forecast",
        "access_logs",
        "season",
        "history",
        "live",
        "scenario",
        "storefronts",
        "records",
        "stats",
        "gate",
        "capacity",
        "compare",
        "sizing",
        "upload",
        "importers",
        "streaming",
        "report",
        "shop",
        "shop_settings",
        "bundled",
        "locust_process",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
CONTENT = {"scenarios", "locustfiles", "analysis", "reports"}
PATCHING = {"locust", "gevent"}


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's syntax tree that imports or defines a class."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return tuple(node for node in found if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef))


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, wherever in the file it does so; type-only imports count too."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def parts_of_ours(modules: set[str]) -> set[str]:
    """The parts of the library among modules, such as {"records", "errors"}."""
    names = {module.split(".")[1] for module in modules if module.startswith("doorbuster.")}
    return {name for name in names if (LIBRARY / name).is_dir() or (LIBRARY / f"{name}.py").is_file()}


FILES = sorted(LIBRARY.rglob("*.py"))


def part_of(path: Path) -> str:
    """The package of a file, or its own name beside the packages."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def wrong_imports(find: Callable[[Path], set[str]]) -> dict[str, set[str]]:
    """What `find` finds in the files of the library, where it finds anything."""
    found = {str(path.relative_to(ROOT)): find(path) for path in FILES}
    return {path: wrong for path, wrong in found.items() if wrong}


def test_every_import_follows_an_arrow():
    def against_an_arrow(path: Path) -> set[str]:
        part = part_of(path)
        return parts_of_ours(imports(path)) - ARROWS[part] - EVERYWHERE - {part}

    assert wrong_imports(against_an_arrow) == {}


def documented_arrows() -> dict[str, set[str]]:
    """The first table of docs/architecture.md: what each package may import."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = text[text.index("| package |") :].split("\n\n")[0].splitlines()[2:]
    everything = set(ARROWS) - EVERYWHERE - {"cli", "__main__", "__init__"}
    found = {}
    for row in rows:
        packages, _, allowed = row.strip("| ").split(" | ")
        named = set(re.findall(r"`(\w+)`", allowed))
        assert named or allowed == "nothing", row
        for package in re.findall(r"`(\w+)`", packages):
            found[package] = everything - named if allowed.startswith("everything but") else named
    return found


def test_the_documented_arrows_are_these():
    modules = {"__main__", "__init__"}
    assert documented_arrows() == {name: found for name, found in ARROWS.items() if name not in modules}


def top_levels(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)}


def test_only_load_imports_what_patches_the_interpreter():
    assert wrong_imports(lambda path: set() if part_of(path) == "load" else top_levels(path) & PATCHING) == {}


def test_the_library_never_imports_the_workbench():
    assert wrong_imports(lambda path: top_levels(path) & CONTENT) == {}


SECTIONS = sorted((ROOT / "analysis").glob("*.py"))


@pytest.mark.parametrize("path", SECTIONS, ids=lambda path: path.name)
def test_a_section_imports_what_a_section_may(path):
    ours = {module for module in imports(path) if module.startswith("doorbuster.")}
    allowed = tuple(
        f"doorbuster.{part}"
        for part in (
            "stats",
            "gate",
            "capacity",
            "records",
            "scenario",
            "report.section",
            "report.run_context",
            "report.analysis_main",
            "errors",
            "units",
            "output",
        )
    )
    assert {module for module in ours if not module.startswith(allowed)} <= {"doorbuster.report"}


@pytest.mark.parametrize("path", SECTIONS, ids=lambda path: path.name)
def test_a_section_can_be_run_alone(path):
    assert path.read_text(encoding="utf-8").rstrip().endswith("main(analyse)")


def test_no_import_of_the_command_line_patches_the_interpreter():
    program = (
        "import sys, doorbuster.cli, doorbuster.scenario, doorbuster.records, doorbuster.stats, "
        "doorbuster.gate, doorbuster.report, doorbuster.shop; "
        "print([name for name in ('locust', 'gevent', 'matplotlib', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_needs_none_of_the_heavy_libraries():
    program = (
        "import sys; sys.argv = ['doorbuster', '--help']\n"
        "from doorbuster.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('locust', 'gevent', 'numpy', 'scipy', 'matplotlib', 'aiohttp', 'pydantic', 'rich')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def commands() -> dict[str, click.Command]:
    from doorbuster.cli import VERBS, doorbuster

    context = click.Context(doorbuster)
    return {name: doorbuster.get_command(context, name) for name in VERBS}


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_verb_has_help_with_an_example(name):
    command = commands()[name]
    assert command.help
    assert f"Example: doorbuster {name}" in command.help


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_verb_and_option_is_documented(name):
    text = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert f"`doorbuster {name}" in text
    section = text.split(f"## `doorbuster {name}", 1)[1].split("\n## ", 1)[0]
    command = commands()[name]
    parts = list(command.commands.values()) if isinstance(command, click.Group) else []
    for part in parts:
        assert f"`{part.name}" in section
        assert f"Example: doorbuster {name} {part.name}" in part.help
    for parameter in (parameter for one in (command, *parts) for parameter in one.params):
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"
            assert f"`{parameter.opts[0]}" in section


def test_every_exit_code_is_documented():
    from doorbuster.errors import ExitCode

    text = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {int(code)} |" in text


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_validates(path):
    from doorbuster.scenario import load_scenario

    scenario = load_scenario(path)
    assert scenario.story
    assert scenario.thresholds


def tracked(*folders: str) -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be listed")
    done = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_wheel_ships_exactly_the_content_that_is_tracked():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    shipped = hook.bundled_content(ROOT)
    manifests = {path for path in tracked("deploy/kubernetes") if path.count("/") == 2}
    content = tracked("scenarios", "locustfiles", "analysis", "reports/sample")
    assert set(shipped) == content | manifests
    assert all(target == f"doorbuster/_workbench/{source}" for source, target in shipped.items())


def test_the_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {line.split(">")[0].split("[")[0].lower().replace("_", "-") for line in wanted}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert names - pinned == set()


def test_no_pinned_version_names_a_place_to_fetch_it_from():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert " @ " not in text


def test_the_workbench_is_yaml_that_editors_can_check():
    for path in (ROOT / "scenarios").glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=")
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def module_name(path: Path) -> str:
    """The dotted name of a file of the library."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in LIBRARY.rglob("*.py")}


def imported_modules(name: str) -> set[str]:
    """The modules of the library that a module imports; a package stands for its __init__."""
    return {found for found in imports(MODULES[name]) if found in MODULES and found != name}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Every import circle, as the sorted names of the modules on it."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        circle = set(error.args[1])
        rest = {name: found - circle for name, found in arrows.items() if name not in circle}
        return [sorted(circle), *circles(rest)]
    return []


def test_no_file_imports_itself_through_others():
    # Importing package.module also runs package/__init__.py, which may import the module: not a circle.
    arrows = {}
    for name in MODULES:
        arrows[name] = {found for found in imported_modules(name) if not name.startswith(f"{found}.")}
    assert circles(arrows) == []


@pytest.mark.parametrize("package", sorted({name.rpartition(".")[0] for name in MODULES} - {""}))
def test_no_sub_package_imports_itself_through_others(package):
    depth = package.count(".") + 2
    arrows: dict[str, set[str]] = {}
    for name in MODULES:
        if name.startswith(f"{package}.") and name.count(".") >= depth - 1:
            child = ".".join(name.split(".")[:depth])
            targets = {found for found in imported_modules(name) if found.startswith(f"{package}.")}
            arrows.setdefault(child, set()).update(".".join(found.split(".")[:depth]) for found in targets)
            arrows[child].discard(child)
    assert circles(arrows) == []


def test_a_class_name_is_used_once():
    names: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                names.setdefault(node.name, []).append(name)
    assert {name: found for name, found in names.items() if len(found) > 1} == {}


def test_every_outcome_has_a_metric_and_a_style_of_its_own():
    from doorbuster.records.outcome import Outcome
    from doorbuster.scenario import METRICS

    assert {str(outcome) for outcome in Outcome} <= set(METRICS)
    assert len({outcome.style for outcome in Outcome}) == len(Outcome)
