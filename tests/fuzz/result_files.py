"""Result files beside a run: capacity.json, scaling.json and baseline.json with values or bytes changed."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from rich.console import Console

from doorbuster.capacity.result_file import (
    RecordedEstimate,
    RecordedLoadStep,
    ScalingPoint,
    ScalingResult,
    SearchResult,
    runs_of,
)
from doorbuster.cli.baseline_choice import judge_relative
from doorbuster.cli.run_workflow import analysis_scripts
from doorbuster.compare.baseline_values import BASELINE_FILE, baseline_of_runs, read_baseline_values
from doorbuster.errors import RecordError
from doorbuster.gate import judge
from doorbuster.history.entry import EntryLabels, history_entry
from doorbuster.records.reader import Run
from doorbuster.report import analyse_run, print_section
from doorbuster.scenario.thresholds.language import read_thresholds
from tests.fuzz.mutations import mutated_bytes, mutated_value
from tests.fuzz.run_files import SAMPLE

THRESHOLDS = read_thresholds(
    {"http_req_duration{step:checkout}": ["p(95)<baseline*1.1"], "can_order": ["rate>=baseline-1%"]}
)
ANALYSES = ("capacity", "scalability")
STEP = RecordedLoadStep(
    "ramp", 4.0, 5.0, 20.0, 20, "pass", "", False, 3.9, 25.0, "01",
    (RecordedEstimate("can_order", -0.4, -0.6, -0.2), RecordedEstimate("http_req_duration", None, None, None)),
)  # fmt: skip
SEARCH = SearchResult(
    "smoke", "Smoke", "Holds 5.2 customers/s.", 5.2, 4.8, 5.7, False, "can_order", "bracket", True, ("ceiling",),
    90.0, True, 4.0, 12.5, 0.4, "checkout", "web", 3.0, 6.0, 4.0, (STEP, STEP),
)  # fmt: skip
SCALING = ScalingResult(
    "sweep", "Smoke", "web", True, 4.0, 3.0, 6.0,
    tuple(ScalingPoint(n, 10.0 * n / (1 + 0.05 * (n - 1)), None, None, 0.1, 20.0, str(n)) for n in (1, 2, 4, 8)),
)  # fmt: skip


@lru_cache
def originals() -> dict[str, str]:
    """The content of each file by its name."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        SEARCH.write(folder)
        SCALING.write(folder)
        baseline_of_runs("main", [SAMPLE], [SAMPLE], THRESHOLDS).write(folder)
        return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def case(rng: Random, folder: Path) -> str:
    name = rng.choice(sorted(originals()))
    for other in originals():
        (folder / other).unlink(missing_ok=True)
    if not (folder / "run.sqlite").exists():
        shutil.copyfile(SAMPLE, folder / "run.sqlite")
    text = originals()[name]
    if rng.random() < 0.3:
        (folder / name).write_bytes(mutated_bytes(rng, text.encode()))
    else:
        (folder / name).write_text(json.dumps(mutated_value(rng, json.loads(text))), encoding="utf-8")
    try:
        _read(name, folder)
    except RecordError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        return "refused"
    return "accepted"


def _read(name: str, folder: Path) -> None:
    """What `analyse`, `gate` and `history add` do with the file."""
    with Run.open(folder) as run:
        if name == BASELINE_FILE:
            baseline = read_baseline_values(folder)
            judge(run, (), THRESHOLDS, relative=judge_relative([run.path], THRESHOLDS, baseline))
            return
        analysed = analyse_run(run, [path for path in analysis_scripts() if path.stem in ANALYSES])
        assert analysed.errors == (), analysed.errors[0]
        for section in analysed.sections:
            print_section(section, console=Console(file=StringIO(), width=100))
        runs_of(folder)
        history_entry(run, (), EntryLabels("main"))
