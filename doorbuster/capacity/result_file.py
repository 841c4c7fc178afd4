"""The result files of `doorbuster capacity` and `doorbuster scale`: `capacity.json` and `scaling.json`.

- A search folder holds `capacity.json`, one folder per load step, and a copy of the run at the highest rate
  that passed, so that it is a run folder too.
- `scaling.json` stands next to the runs of a concurrency sweep, or in the folder of `doorbuster scale`.
- A run file finds its result file in its own folder or in the parent folder.
- Both files are rewritten after every load step, so Ctrl-C loses nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from doorbuster.capacity.capacity_result import Flag, SearchMethod
from doorbuster.capacity.headroom import Headroom, PositiveEstimate, headroom
from doorbuster.capacity.load_step import Kind, Status
from doorbuster.records.result_file import find_result, read_result, write_result

SEARCH_FILE = "capacity.json"
SEARCH_SCHEMA = "doorbuster.capacity/1"
SCALING_FILE = "scaling.json"
SCALING_SCHEMA = "doorbuster.scaling/1"
ScalingKind = Literal["sweep", "sizes"]


@dataclass(frozen=True, slots=True)
class RecordedEstimate:
    """A threshold at one load step: ln(observed / allowed) with its 95 % interval; None is unknown."""

    name: str
    level: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RecordedLoadStep:
    """One load step: its parameters, its result and the folder of its run."""

    kind: Kind
    rate_per_s: float
    warmup_s: float
    hold_s: float
    seconds: int
    status: Status
    why: str
    growing: bool
    completed_per_s: float
    elapsed_s: float
    run: str
    estimates: tuple[RecordedEstimate, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The whole search. Rates in customers per second; `…_per_customer` is the mean over all customers."""

    scenario: str
    title: str
    sentence: str
    rate_per_s: float | None
    low: float | None
    high: float | None
    at_least: bool
    binding: str
    method: SearchMethod
    recovered: bool | None
    flags: tuple[Flag, ...]
    elapsed_s: float
    finished: bool
    demand_per_s: float
    requests_per_customer: float | None = None
    orders_per_customer: float | None = None
    breaks_at_step: str = ""
    breaks_at_channel: str = ""
    demand_low_per_s: float | None = None
    demand_high_per_s: float | None = None
    size: float | None = None  # workers of the embedded shop, where the scenario says so
    load_steps: tuple[RecordedLoadStep, ...] = ()

    def __post_init__(self) -> None:
        if self.rate_per_s is not None:
            PositiveEstimate(self.rate_per_s, self.low or None, self.high, self.at_least)
        if self.demand_per_s:
            PositiveEstimate(self.demand_per_s, self.demand_low_per_s, self.demand_high_per_s)

    @property
    def headroom(self) -> Headroom | None:
        """Capacity over peak demand; None without either. A demand without an interval is taken as exact."""
        if self.rate_per_s is None or not self.demand_per_s:
            return None
        low, high = self.demand_low_per_s, self.demand_high_per_s
        if low is None and high is None:
            low = high = self.demand_per_s
        return headroom(
            PositiveEstimate(self.rate_per_s, self.low or None, self.high, self.at_least),
            PositiveEstimate(self.demand_per_s, low, high),
        )

    @property
    def representative_step(self) -> RecordedLoadStep | None:
        """The load step whose run the report shows: at the highest rate up to the answer, else the first."""
        usable = [step for step in self.load_steps if step.status != "invalid"] or list(self.load_steps)
        below = [step for step in usable if step.rate_per_s <= (self.rate_per_s or self.low or 0.0)]
        return max(below or usable[:1], key=lambda step: (step.rate_per_s, step.seconds), default=None)

    def write(self, folder: Path) -> None:
        """Write the file into `folder`, replacing an earlier one."""
        write_result(folder / SEARCH_FILE, SEARCH_SCHEMA, asdict(self))


@dataclass(frozen=True, slots=True)
class ScalingPoint:
    """The throughput at one concurrency level or size.

    `per_s`: requests answered per second (sweep) or the capacity in customers per second (sizes), `low` and
    `high` its 95 % interval where known. `response_s`: mean response time of a sweep. `source`: the folder of
    the run or of the search.
    """

    n: float
    per_s: float
    low: float | None
    high: float | None
    response_s: float | None
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class ScalingResult:
    """All points of a curve. `channel`: whose concurrency was varied. Demand: of the scenario, per second."""

    kind: ScalingKind
    title: str
    channel: str
    finished: bool
    demand_per_s: float | None = None
    demand_low_per_s: float | None = None
    demand_high_per_s: float | None = None
    points: tuple[ScalingPoint, ...] = ()

    @property
    def best_point(self) -> ScalingPoint | None:
        """The point with the highest throughput."""
        return max(self.points, key=lambda point: point.per_s, default=None)

    def write(self, folder: Path) -> None:
        """Write the file into `folder`, replacing an earlier one."""
        write_result(folder / SCALING_FILE, SCALING_SCHEMA, asdict(self))


def find_search(run_file: Path) -> SearchResult | None:
    """The search that a run belongs to; None for any other run.

    Raises: RecordError when the file exists but cannot be read.
    """
    file = find_result(run_file, SEARCH_FILE)
    return None if file is None else read_result(file, SEARCH_SCHEMA, SearchResult)


def find_scaling(run_file: Path) -> ScalingResult | None:
    """The curve that a run belongs to; None for any other run.

    Raises: RecordError when the file exists but cannot be read.
    """
    file = find_result(run_file, SCALING_FILE)
    return None if file is None else read_result(file, SCALING_SCHEMA, ScalingResult)


def runs_of(path: Path) -> list[Path]:
    """The runs of all load steps in the folder of a search or sweep; any other run stands for itself.

    Load steps are found by their run files, so that one that ended with an error is included.
    """
    folder = path.parent if path.name == "run.sqlite" else path
    if (
        any((folder / name).is_file() for name in (SEARCH_FILE, SCALING_FILE))
        or not (folder / "run.sqlite").exists()
    ):
        return sorted(file.parent for file in folder.glob("*/run.sqlite")) or [path]
    return [path]


def is_whole_search(run_file: Path) -> bool:
    """Whether a run represents its search: it lies in the search folder, not in that of a load step.

    In the folder of `doorbuster scale` it represents the curve over several searches instead.
    """
    folder = run_file.parent
    return (folder / SEARCH_FILE).is_file() and not (folder / SCALING_FILE).is_file()
