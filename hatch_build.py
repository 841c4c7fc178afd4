"""Build hook of the wheel: adds the bundled content, and compiled modules with DOORBUSTER_COMPILE=1.

Bundled content: scenarios, locustfiles, analysis scripts and the sample report go into
`doorbuster/_workbench`.

Compilation: `DOORBUSTER_COMPILE=1 pip install .` compiles the code that sends requests with mypyc. Behaviour
is the same; without compilation only speed is lost. Editable installs get neither: they read the content from
the checkout, and a compiled file would hide the edited one.

    python hatch_build.py FOLDER        # used by the benchmarks: a compiled copy of the library in FOLDER
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script
    BuildHookInterface = object

WORKBENCH = Path("doorbuster", "_workbench")
CONTENT = (
    "analysis/*.py", "locustfiles/*.py", "scenarios/*.yaml", "scenarios/scenario.schema.json",
    "reports/sample/*.html", "reports/sample/*.json", "reports/sample/*.md", "reports/sample/*.xml",
    "reports/sample/run.sqlite", "deploy/kubernetes/*.yaml",
)  # fmt: skip
COMPILE_VARIABLE = "DOORBUSTER_COMPILE"
COMPILE_REQUIREMENTS = ["mypy[mypyc]>=1.18", "setuptools>=70", "numpy>=2.0"]  # numpy: names of array types
LOAD = Path("doorbuster", "load")
HTTP = LOAD / "http"
OTHER_COMPILED_MODULES = (
    "exchange", "customers/behaviour", "customers/context", "customers/model", "customers/retry_budget",
    "customers/retry_policy", "customers/session", "customers/step_runner", "engine/arrivals",
    "engine/generator", "recording/recorder", "recording/secondary_metrics", "runtime/sleep_scheduler",
)  # fmt: skip
NOT_COMPILED = ("__init__", "mypyc_compat", "requests_errors")
GROUP = "doorbuster.load.http._compiled"
# `make check` checks the types; here, other libraries may be missing.
MYPY = ["--ignore-missing-imports", "--follow-imports=silent", "--config-file=", "--python-version=3.11"]


def bundled_content(root: Path) -> dict[str, str]:
    """The content files that ship: path in the checkout -> path in the wheel, both relative."""
    paths = (path.relative_to(root) for pattern in CONTENT for path in root.glob(pattern))
    return {path.as_posix(): (WORKBENCH / path).as_posix() for path in sorted(paths)}


def compiled_modules(root: Path) -> list[Path]:
    """The modules that are compiled, relative to `root`."""
    http = [path.relative_to(root) for path in sorted((root / HTTP).glob("*.py"))]
    others = [LOAD / f"{name}.py" for name in OTHER_COMPILED_MODULES]
    return [path for path in http if path.stem not in NOT_COMPILED] + others


def compile_copy(root: Path, folder: Path) -> list[Path]:
    """Compile a copy of the library in `folder`; returns the created files, relative to it.

    Raises: subprocess.CalledProcessError if there is no C compiler.
    """
    shutil.rmtree(folder, ignore_errors=True)
    leave = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(root / "doorbuster", folder / "doorbuster", ignore=leave)
    subprocess.run([sys.executable, str(Path(__file__).resolve()), "--here"], cwd=folder, check=True)
    shutil.rmtree(folder / "build", ignore_errors=True)
    suffixes = (".so", ".pyd")
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix in suffixes)


def compile_here() -> None:
    """Compile the library in the working directory."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    paths = [str(path) for path in compiled_modules(Path())]
    extensions = mypycify([*MYPY, *paths], opt_level="3", debug_level="0", group_name=GROUP)
    if os.name == "posix":
        for extension in extensions:  # direct calls within the module, which may be inlined
            extension.extra_compile_args.append("-fvisibility=hidden")
    command = Distribution({"name": "doorbuster", "ext_modules": extensions}).get_command_obj("build_ext")
    command.inplace = True
    command.ensure_finalized()
    command.run()


class WheelHook(BuildHookInterface):  # type: ignore[misc]
    """Adds the bundled content and the compiled files to a wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return COMPILE_REQUIREMENTS if os.environ.get(COMPILE_VARIABLE) == "1" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        for source, target in bundled_content(Path(self.root)).items():
            build_data["force_include"][str(Path(self.root, source))] = target
        if os.environ.get(COMPILE_VARIABLE) != "1":
            return
        folder = Path(self.root, "build", "compiled")
        for path in compile_copy(Path(self.root), folder):
            build_data["force_include"][str(folder / path)] = str(path)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


if __name__ == "__main__":
    if sys.argv[1] == "--here":
        compile_here()
    else:
        compile_copy(Path(__file__).resolve().parent, Path(sys.argv[1]).resolve())
