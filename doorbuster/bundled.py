"""Locates the bundled content: `scenarios/`, `locustfiles/`, `analysis/` and the sample report.

Content is loaded by path. It lies next to the library in a checkout and inside it in an installed wheel. A
folder of the same name in the current directory takes precedence.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from doorbuster.errors import RunError

_SHIPPED = "_workbench"


def shipped(folder: str) -> Path:
    """The bundled folder of this name, e.g. shipped("scenarios")."""
    package = Path(str(files("doorbuster")))
    for root in (package / _SHIPPED, package.parent):
        if (root / folder).is_dir():
            return root / folder
    raise RunError(f"the bundled folder {folder!r} is missing from this installation; reinstall doorbuster")


def scenario_argument(name: str, path: Path | None = None) -> str:
    """A scenario as a command takes it: the name of a bundled one, else its path or file name."""
    return name if (shipped("scenarios") / f"{name}.yaml").is_file() else str(path or f"{name}.yaml")


def search_path(folder: str) -> tuple[Path, ...]:
    """Folders to search for content: the user's own folder first, then the bundled one."""
    own, ours = Path(folder), shipped(folder)
    if own.is_dir() and own.resolve() != ours.resolve():
        return own, ours
    here = Path.cwd()
    return (ours.relative_to(here) if ours.is_relative_to(here) else ours,)
