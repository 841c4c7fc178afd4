"""Where the workbench is: `scenarios/`, `locustfiles/`, `analysis/` and the sample report.

The workbench is content, loaded by path. In a checkout it lies beside the library, in an installed wheel
inside it; a retailer's own folder of the same name, below the current directory, comes first.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from doorbuster.errors import RunError

_SHIPPED = "_workbench"


def shipped(folder: str) -> Path:
    """The folder as we ship it, such as shipped("scenarios")."""
    package = Path(str(files("doorbuster")))
    for root in (package / _SHIPPED, package.parent):
        if (root / folder).is_dir():
            return root / folder
    raise RunError(
        f"the shipped folder {folder!r} is missing from this installation; install doorbuster again"
    )


def search_path(folder: str) -> tuple[Path, ...]:
    """Where to look for content of this kind: the user's own folder first, then the shipped one."""
    own, ours = Path(folder), shipped(folder)
    if own.is_dir() and own.resolve() != ours.resolve():
        return own, ours
    here = Path.cwd()
    return (ours.relative_to(here) if ours.is_relative_to(here) else ours,)
