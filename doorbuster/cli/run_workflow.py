"""Shared by the verbs: find inputs; turn a recorded run into sections, a verdict and report files."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.bundled import search_path
from doorbuster.cli.progress import each, working
from doorbuster.cli.section_scripts import analysis_scripts
from doorbuster.errors import ExitCode, UsageError
from doorbuster.output import say, say_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorbuster.compare.baseline_values import BaselineValues
    from doorbuster.gate import ThresholdResult, Verdict
    from doorbuster.records.reader import Run
    from doorbuster.report import AnalysisResult, Overview
    from doorbuster.scenario import LocustScenario, Scenario


LOGS = ("locust.log", "locust.out", "shop.log")  # what a run leaves that ended before it recorded anything


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A recorded run with its analysis and verdict."""

    analysed: AnalysisResult
    results: tuple[ThresholdResult, ...]
    verdict: Verdict
    overview: Overview

    @property
    def exit_code(self) -> int:
        """That of the verdict, except that a failed analysis script turns a pass into 107."""
        code = self.verdict.exit_code
        return int(ExitCode.SCRIPT_EXCEPTION if self.analysed.errors and code == ExitCode.PASS else code)

    def write(self, run: Run, folder: Path, *, pdf: bool = False, baseline: Sequence[Run] = ()) -> None:
        """Write the report into a folder, also as PDF if wanted; `baseline`: for the page's percentiles."""
        from doorbuster.report import write_report

        write_report(
            run, self.analysed.sections, self.results, self.verdict, folder,
            problems=self.analysed.errors, overview=self.overview, pdf=pdf, baseline=baseline,
        )  # fmt: skip

    def print_failed_scripts(self) -> None:
        """Print on stderr which analysis scripts raised, and where."""
        for error in self.analysed.errors:
            say_lines(str(error), error=True)


def find_scenario(
    name: str,
    *,
    profile: str | None = None,
    url: str | None = None,
    seed: int | None = None,
    no_retries: bool = False,
) -> Scenario:
    """The scenario by path or bundled name, with the overrides of the command line.

    Raises:
        ScenarioError: with every problem found; also when a threshold names an unknown section.
    """
    from doorbuster.scenario import check_size, load_scenario, override

    scenario = load_scenario(name, search=search_path("scenarios"))
    _require_sections(scenario)
    check_size(scenario)
    return override(scenario, profile=profile, url=url, seed=seed, no_retries=no_retries)


def find_run_scenario(name: str) -> Scenario | LocustScenario:
    """The scenario by path or bundled name, also that of a plain Locust file.

    Raises: ScenarioError as for `find_scenario`.
    """
    from doorbuster.scenario import load_any_scenario

    scenario = load_any_scenario(name, search_path("scenarios"))
    _require_sections(scenario)
    return scenario


def _require_sections(scenario: Scenario | LocustScenario) -> None:
    from doorbuster.errors import ScenarioError
    from doorbuster.scenario import missing_sections

    problems = missing_sections(scenario.thresholds, [path.stem for path in analysis_scripts()])
    if problems:
        raise ScenarioError(problems)


def scenario_file(scenario: Scenario | LocustScenario, folder: Path, name: str = "") -> Path:
    """The file of a scenario for another process; written to the folder when options have changed it.

    Args: name: of the file, without its ending, for a scenario that no file describes.
    """
    path = scenario.source_path
    if path is not None and path.read_text(encoding="utf-8-sig") == scenario.source_text:
        return path
    changed = folder / f"{name or scenario.name}.yaml"
    changed.write_text(scenario.source_text, encoding="utf-8")
    return changed


def find_locustfile(name: str) -> Path:
    """A locustfile by path or bundled name."""
    for candidate in (Path(name), *(folder / name for folder in search_path("locustfiles"))):
        if candidate.is_file():
            if candidate.suffix != ".py":
                raise UsageError(f"{candidate} is not a locustfile; give a path ending in .py")
            return candidate
    known = sorted(path.name for folder in search_path("locustfiles") for path in folder.glob("[!_]*.py"))
    raise UsageError(f"locustfile {name!r} not found; give a path, or one of {', '.join(known)}")


def find_locustfiles(names: str) -> str:
    """Locustfiles as Locust's -f takes them: one, several with commas between them, or a folder."""
    parts = (part.strip() for part in names.split(","))
    return ",".join(name if Path(name).is_dir() else str(find_locustfile(name)) for name in parts)


def new_run_folder(out: Path | None, name: str) -> Path:
    """Create the folder of a new run, so that an unusable path is found before the load starts.

    Logs of an attempt that recorded nothing are no obstacle.

    Args: name: of the scenario, for the default folder.

    Raises:
        UsageError: the folder cannot be written or is not empty.
    """
    now = datetime.now().astimezone()
    folder = out or Path("reports") / f"{now:%Y%m%d-%H%M%S}-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        leftovers = {*LOGS, f"{name}.yaml"}
        if any(path.name not in leftovers for path in folder.iterdir()):
            raise UsageError(f"{folder} is not empty; choose a new folder with --out, or remove it")
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror}; choose another folder with --out"
        ) from error
    return folder


def require_customer_scenario(run: Run) -> Scenario:
    """The scenario as recorded with the run.

    Raises: UsageError if the run used a plain Locust file, which has no customers.
    """
    from doorbuster.scenario import LocustScenario

    found = recorded_run_scenario(run)
    if isinstance(found, LocustScenario):
        raise UsageError(
            f"{run.path.parent} is the run of a plain Locust file; this command needs customers and orders"
        )
    return found


def recorded_run_scenario(run: Run) -> Scenario | LocustScenario:
    """The scenario as recorded with the run, also that of a plain Locust file.

    Raises: RecordError if it cannot be read.
    """
    from doorbuster.errors import RecordError, ScenarioError
    from doorbuster.scenario import locust_scenario, read_any_scenario

    meta = run.meta
    if meta.imported and not meta.scenario_text.strip():  # imported without thresholds
        return locust_scenario(None, title=meta.title).with_source(Path(meta.scenario_name), "")
    try:
        return read_any_scenario(meta.scenario_text, file=meta.scenario_name)
    except ScenarioError as error:
        raise RecordError(
            f"{run.path}: the recorded scenario cannot be read: {error.problems[0]}; name one with --scenario"
        ) from error


def judge_run(
    run: Run,
    scenario: Scenario | LocustScenario,
    *,
    baseline: BaselineValues | None = None,
    further_runs: Sequence[Path] = (),
    quiet: bool = False,
) -> JudgedRun:
    """Every section of a recorded run, the result of each threshold and the verdict.

    Args:
        baseline: for relative thresholds; by default the one with which the run was judged before.
        further_runs: of the same build, which relative thresholds take into account.
        quiet: without progress.
    """
    from doorbuster.cli.baseline_choice import judge_relative
    from doorbuster.cli.channel_changes import channel_changes
    from doorbuster.compare.baseline_values import read_baseline_values, relative_thresholds
    from doorbuster.gate import judge, verdict
    from doorbuster.report import analyse_run, build_overview, known_causes

    analysed = analyse_run(run, each("analysing the run", analysis_scripts(), quiet=quiet))
    if baseline is None and relative_thresholds(scenario.thresholds):
        baseline = read_baseline_values(run.path.parent)
    relative = judge_relative((*further_runs, run.path), scenario.thresholds, baseline)
    results = judge(run, analysed.sections, scenario.thresholds, relative=relative)
    found = verdict(run, results, known_causes(analysed.sections))
    changes = channel_changes(run, baseline)
    overview = build_overview(
        run, analysed.sections, results, found, baseline=baseline.name if baseline else "", changes=changes
    )
    return JudgedRun(analysed, results, found, overview)


def write_everything(
    run_path: Path,
    scenario: Scenario | LocustScenario,
    folder: Path | None = None,
    *,
    baseline: BaselineValues | None = None,
    quiet: bool = False,
    pdf: bool = False,
    baseline_runs: Sequence[Path] = (),
) -> JudgedRun:
    """Analyse and judge a recorded run and write its report, by default into the run folder.

    Args: quiet: without progress. pdf: also as PDF. baseline_runs: for the percentiles of the page.
    """
    from doorbuster.records.reader import Run

    with ExitStack() as opened:
        run = opened.enter_context(Run.open(run_path))
        before = [opened.enter_context(Run.open(path)) for path in baseline_runs]
        judged = judge_run(run, scenario, baseline=baseline, quiet=quiet)
        with working("writing the report", quiet=quiet):
            judged.write(run, folder or run_path, pdf=pdf, baseline=before)
    return judged


def write_combined_report(folder: Path, run_folder: Path) -> None:
    """Copy one run into the folder of its search or sweep and write the report of the whole there."""
    from doorbuster.records.reader import Run

    shutil.copyfile(run_folder / "run.sqlite", folder / "run.sqlite")
    with Run.open(folder) as run:
        scenario = recorded_run_scenario(run)
    write_everything(folder, scenario).print_failed_scripts()


def show_section(folder: Path, name: str) -> None:
    """Print one section of a run and the path of its report."""
    from doorbuster.records.reader import Run
    from doorbuster.report import analyse_run, print_section

    with Run.open(folder) as run:
        analysed = analyse_run(run, [path for path in analysis_scripts() if path.stem == name])
    for section in analysed.sections:
        print_section(section)
    say(f"report:  {folder / 'index.html'}")
