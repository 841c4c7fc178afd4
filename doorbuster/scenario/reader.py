"""Reads a scenario by name or path; raises one error with all issues and their locations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from doorbuster.errors import FileProblem, ScenarioError
from doorbuster.scenario.locust_scenario import LocustScenario, is_locust_scenario
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.parsing.diagnostics import did_you_mean
from doorbuster.scenario.parsing.document import MAX_CHARACTERS

SUFFIXES = (".yaml", ".yml")


def load_scenario(name_or_path: str | Path, search: Sequence[Path] = ()) -> Scenario:
    """The scenario in a file, or the scenario of that name in the folders `search`.

    Raises: ScenarioError with every problem: file, line, column, rule, value found, way out.
    """
    path = find_scenario(name_or_path, search)
    text = _text(path)
    return Scenario.read(text, file=str(path)).with_source(path, text)


def load_any_scenario(name_or_path: str | Path, search: Sequence[Path] = ()) -> Scenario | LocustScenario:
    """As `load_scenario`, also the scenario of a plain Locust file."""
    path = find_scenario(name_or_path, search)
    text = _text(path)
    return read_any_scenario(text, file=str(path)).with_source(path, text)


def read_any_scenario(text: str, *, file: str = "scenario") -> Scenario | LocustScenario:
    """The scenario in a YAML text, of customers or of the users of a plain Locust file.

    Raises: ScenarioError with every problem.
    """
    model = LocustScenario if is_locust_scenario(text) else Scenario
    return model.read(text, file=file)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(4 * MAX_CHARACTERS + 4)  # enough to reject a huge file
    except OSError as error:
        problem = FileProblem(str(path), 0, 0, "", "cannot be read", error.strerror or type(error).__name__)
        raise ScenarioError([problem]) from None
    try:
        text = data.decode("utf-8-sig", "strict" if len(data) <= 4 * MAX_CHARACTERS else "ignore")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        got = f"byte {data[error.start]:#04x}"
        raise ScenarioError([FileProblem(str(path), *place, "", "must be UTF-8 text", got)]) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")[: MAX_CHARACTERS + 1]


read_scenario = Scenario.read


def find_scenario(name_or_path: str | Path, search: Sequence[Path] = ()) -> Path:
    """The file of a scenario: the path itself if it exists, else `<folder>/<name>.yaml`.

    Raises: ScenarioError that lists the scenarios in `search`.
    """
    path = Path(name_or_path)
    name = str(name_or_path)
    try:
        if path.is_file():
            return path
        plain = name.removesuffix(".yaml").removesuffix(".yml")
        if path.name == name and not path.is_dir():
            for candidate in (folder / (plain + suffix) for folder in search for suffix in SUFFIXES):
                if candidate.is_file():
                    return candidate
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise ScenarioError([FileProblem(name[:80], 0, 0, "", "is not a usable path", reason)]) from None
    if is_folder:
        problem = FileProblem(name, 0, 0, "", "is a folder", way_out="give the path of a .yaml file in it")
        raise ScenarioError([problem])
    bundled = shipped_names(search)
    way_out = did_you_mean(Path(plain).name, bundled) if bundled else "give the path of a .yaml file"
    rule = "is neither a file nor the name of a bundled scenario"
    raise ScenarioError([FileProblem(name or '""', 0, 0, "", rule, way_out=way_out)])


def shipped_names(search: Sequence[Path]) -> tuple[str, ...]:
    """Names of the scenarios in the folders `search`, sorted."""
    found = {
        file.stem
        for folder in search
        if folder.is_dir()
        for file in folder.iterdir()
        if file.suffix in SUFFIXES
    }
    return tuple(sorted(found))
