"""Versions, machine and git commit of the generator, stored in the run file so that runs can be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

import psutil

from doorbuster import build

_PACKAGES = ("doorbuster", "locust", "gevent", "httptools", "numpy")


def generator_info() -> dict[str, Any]:
    """Fields of `RunMeta` that describe the generator."""
    return {
        "versions": {
            "python": platform.python_version(),
            "doorbuster_build": build(),
            **{name: version(name) for name in _PACKAGES},
        },
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count() or 0,
            "memory_bytes": psutil.virtual_memory().total,
        },
        "git_commit": _git_commit(),
    }


def _git_commit() -> str:
    """The commit of the repository in the working directory; "" outside one or without git."""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
