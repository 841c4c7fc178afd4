"""How the user called us, so that the next command we propose can be copied."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def program() -> str:
    """ "doorbuster" if that is on the PATH, else the path it was called by."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m doorbuster"
    if any(Path(folder, called.name).exists() for folder in os.get_exec_path()):
        return called.name
    try:
        return shlex.quote(str(called.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(called))
