"""The library with the path of a request compiled, for benchmarks that compare both builds."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.server import MissingError

ROOT = Path(__file__).parent.parent
_MADE = ROOT / "build"
_CHECK = "import doorbuster.load.http.connection as it; print(it.__file__)"


def compiled_library() -> Path:
    """The folder to put on PYTHONPATH; compiled once for each state of the source, in half a minute to two.

    Raises: MissingError without a C compiler or mypyc.
    """
    state = hashlib.sha256(sys.version.encode())
    for path in sorted((ROOT / "doorbuster").rglob("*.py")):
        state.update(path.read_bytes())
    folder = _MADE / f"bench-{state.hexdigest()[:12]}"
    if not folder.exists():
        made = folder.with_suffix(".new")
        command = [sys.executable, str(ROOT / "hatch_build.py"), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingError("the compiled build needs a C compiler and mypyc: pip install 'mypy[mypyc]'")
        for old in _MADE.glob("bench-*"):
            if old != made:
                shutil.rmtree(old)
        made.rename(folder)
    shown = subprocess.run(
        [sys.executable, "-c", _CHECK], cwd=folder, capture_output=True, text=True, check=True
    )
    if shown.stdout.strip().endswith(".py"):
        raise MissingError(f"the compiled files in {folder} are not those that are loaded")
    return folder
