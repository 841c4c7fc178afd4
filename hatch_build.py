"""Compiles the path of a request when the wheel is built, if asked: DOORBUSTER_COMPILE=1 pip install .

mypyc turns the same annotated Python into C; nothing else changes, and without a C compiler nobody misses
anything but speed. Editable installs stay as they are: there, a compiled file would hide the edited one.

    python hatch_build.py FOLDER        # what the benchmarks do: a compiled copy of the library in FOLDER
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
except ImportError:  # run by hand, where nothing is packaged
    BuildHookInterface = object

ASKED = "DOORBUSTER_COMPILE"
NEEDED = ["mypy[mypyc]>=1.18", "setuptools>=70"]
LOAD = Path("doorbuster", "load")
HTTP = LOAD / "http"
BESIDE = (
    "customers/behaviour", "customers/model", "customers/retry_policy", "customers/session",
    "customers/step_runner", "engine/arrivals", "engine/generator", "engine/recorder",
    "engine/side_metrics", "engine/sleep_scheduler",
)  # fmt: skip
AS_THEY_ARE = ("__init__", "mypyc_compat")
GROUP = "doorbuster.load.http._compiled"
# Types are checked by `make check`; here, other libraries need not even be installed.
MYPY = ["--ignore-missing-imports", "--follow-imports=silent", "--config-file=", "--python-version=3.11"]


def compile_copy(root: Path, folder: Path) -> list[Path]:
    """Put a copy of the library into `folder` and compile it; returns the files made, relative to it.

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

    paths = [str(path) for path in sorted(HTTP.glob("*.py")) if path.stem not in AS_THEY_ARE]
    paths += [str(LOAD / f"{name}.py") for name in BESIDE]
    extensions = mypycify([*MYPY, *paths], opt_level="3", debug_level="0", group_name=GROUP)
    if os.name == "posix":
        for extension in extensions:  # calls within the module need no look-up, and may be inlined
            extension.extra_compile_args.append("-fvisibility=hidden")
    command = Distribution({"name": "doorbuster", "ext_modules": extensions}).get_command_obj("build_ext")
    command.inplace = True
    command.ensure_finalized()
    command.run()


class CompileHook(BuildHookInterface):  # type: ignore[misc]
    """Adds the compiled files to a wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return NEEDED if os.environ.get(ASKED) == "1" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get(ASKED) != "1" or version == "editable":
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
