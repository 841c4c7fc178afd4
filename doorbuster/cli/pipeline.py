"""What the verbs have in common: find the inputs; turn a recorded run into sections, verdict and files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.errors import UsageError
from doorbuster.workbench import search_path

if TYPE_CHECKING:
    from doorbuster.gate import Verdict
    from doorbuster.records import Run
    from doorbuster.scenario import Scenario


def find_scenario(
    name: str, *, profile: str | None = None, url: str | None = None, seed: int | None = None
) -> Scenario:
    """The scenario by path or shipped name, with the command line's changes.

    Raises:
        ScenarioError: with every problem found.
    """
    from doorbuster.scenario import load_scenario

    scenario = load_scenario(name, search=search_path("scenarios"))
    if profile or url:
        scenario = scenario.with_target(url=url, profile=profile)
    return scenario if seed is None else scenario.with_seed(seed)


def find_locustfile(name: str) -> Path:
    """A locustfile by path, or by its name in the workbench."""
    for candidate in (Path(name), *(folder / name for folder in search_path("locustfiles"))):
        if candidate.is_file():
            return candidate
    known = sorted(path.name for folder in search_path("locustfiles") for path in folder.glob("[!_]*.py"))
    raise UsageError(f"there is no locustfile {name!r}; name a path, or one of {', '.join(known)}")


def new_run_folder(out: Path | None, scenario: Scenario) -> Path:
    """An empty folder for a new run, made now, so that a bad place is found before the load starts.

    Raises:
        UsageError: it cannot be written, or there is a run in it already.
    """
    now = datetime.now().astimezone()
    folder = out or Path("reports") / f"{now:%Y%m%d-%H%M%S}-{scenario.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; name a new folder with --out, or remove it")
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}; name another place with --out"
        ) from error
    return folder


def analysis_scripts() -> tuple[Path, ...]:
    """The sections of a report: the shipped scripts, and the user's own beside or instead of them."""
    found: dict[str, Path] = {}
    for folder in reversed(search_path("analysis")):
        found.update({path.name: path for path in sorted(folder.glob("[!_]*.py"))})
    return tuple(found.values())


def recorded_scenario(run: Run) -> Scenario:
    """The scenario as it was recorded with the run, whatever became of the file since."""
    from doorbuster.scenario import read_scenario

    return read_scenario(run.meta.scenario_text, file=run.meta.scenario_name)


def write_everything(run_path: Path, scenario: Scenario, folder: Path | None = None) -> Verdict:
    """Analyse, judge and report a recorded run; the files land in its folder, or in another one."""
    from doorbuster.gate import judge, verdict
    from doorbuster.records import Run
    from doorbuster.report import analyse_run, write_report

    with Run.open(run_path) as run:
        sections = analyse_run(run, analysis_scripts())
        judgements = judge(run, sections, scenario.thresholds)
        result = verdict(run, judgements)
        write_report(run, sections, judgements, result, folder or run_path)
    return result
