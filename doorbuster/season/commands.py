"""The commands that fill the gaps of a season, to be copied as they are shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from doorbuster.season.season_file import SeasonFolder


@dataclass(frozen=True, slots=True)
class SeasonCommands:
    """Commands with the paths of a season; NAME stands for that of the new folder."""

    folder: SeasonFolder

    def run(self, scenario: str = "", more: str = "") -> str:
        """Run a scenario of the season, by its name; by default the expected one."""
        return self._command("run", self._path(scenario), self.folder.season.runs, more)

    def capacity(self) -> str:
        """Search the capacity with the expected scenario."""
        return self._command("capacity", self._path(""), self.folder.season.capacity, "")

    def _path(self, name: str) -> str:
        paths = self.folder.season.scenarios
        found = next((path for path in paths if Path(path).stem == name), paths[0] if paths else None)
        return "SCENARIO" if found is None else shlex.quote(str(self.folder.path(found)))

    def _command(self, verb: str, scenario: str, results: tuple[str, ...], more: str) -> str:
        out = f" --out {shlex.quote(str(self.folder.path(results[0])))}/NAME" if results else ""
        return f"doorbuster {verb} {scenario}{more}{out}"
