"""How throughput grew with size, `scaling.json`: a closed sweep over seats, or one shop's capacities by size.

Rules of this module:
- The file stands beside the runs of a sweep, or in the folder that `doorbuster scale` made; a run file finds
  it in its folder or one above, as it finds a search.
- Written after every point: what is known survives Ctrl-C.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from doorbuster.errors import RecordError
from doorbuster.records.result_file import find_result, read_result, write_result

FILE_NAME = "scaling.json"
SCHEMA = "doorbuster.scaling/1"
Kind = Literal["sweep", "sizes"]


@dataclass(frozen=True, slots=True)
class ScalingPoint:
    """One load or size, and what came of it.

    `per_s`: requests answered per second (sweep) or the capacity in customers per second (sizes), `low` and
    `high` its 95 % interval where known. `response_s`: mean response time of a sweep. `source`: the folder of
    the run or the search.
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
    """All points. `channel`: whose seats were varied. The demand is that of the scenario, per second."""

    kind: Kind
    title: str
    channel: str
    finished: bool
    demand_per_s: float | None = None
    demand_low_per_s: float | None = None
    demand_high_per_s: float | None = None
    points: tuple[ScalingPoint, ...] = field(default=())

    def write(self, folder: Path) -> None:
        """Replace the file of a folder."""
        write_result(folder / FILE_NAME, SCHEMA, asdict(self))


def find_scaling(run_file: Path) -> ScalingResult | None:
    """What a run file belongs to: in its folder, or one above; None for an ordinary run.

    Raises: RecordError when there is such a file, but it cannot be read.
    """
    file = find_result(run_file, FILE_NAME)
    return None if file is None else _read(file)


def _read(file: Path) -> ScalingResult:
    try:
        found = read_result(file, SCHEMA)
        points = tuple(ScalingPoint(**point) for point in found.pop("points"))
        return ScalingResult(**found, points=points)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file}: cannot read the result of the sweep: {error}") from error
