"""The name under which doorbuster was started, so that suggested commands can be copied."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def program_name() -> str:
    """ "doorbuster" if it is on the PATH, otherwise the path it was started with."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m doorbuster"
    if any(Path(folder, called.name).exists() for folder in os.get_exec_path()):
        return called.name
    try:
        return shlex.quote(str(called.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(called))
