"""The result of a capacity search, `capacity.json`, beside the runs of its plateaus.

Rules of this module:
- The folder of a search holds `capacity.json`, one folder a plateau, and a copy of the run at the highest
  rate that held, so that it is a run folder itself. A plateau finds the search it belongs to one folder up.
- Written after every plateau: what is known survives Ctrl-C.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from doorbuster.capacity.scaling_result import FILE_NAME as SCALING_FILE
from doorbuster.errors import RecordError
from doorbuster.records.result_file import find_result, read_result, write_result

FILE_NAME = "capacity.json"
SCHEMA = "doorbuster.capacity/1"


@dataclass(frozen=True, slots=True)
class SearchReading:
    """A threshold at one plateau: ln(observed / allowed) with its 95 % interval; None is unknown."""

    name: str
    level: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SearchPlateau:
    """One plateau: what was asked, what came of it, and the folder of its run."""

    kind: str
    rate_per_s: float
    settle_s: float
    hold_s: float
    seconds: int
    status: str
    why: str
    growing: bool
    completed_per_s: float
    elapsed_s: float
    run: str
    readings: tuple[SearchReading, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The whole search. Rates in customers per second; `…_per_customer` is that of an average one."""

    scenario: str
    title: str
    sentence: str
    rate_per_s: float | None
    low: float | None
    high: float | None
    at_least: bool
    binding: str
    method: str
    recovered: bool | None
    flags: tuple[str, ...]
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
    plateaus: tuple[SearchPlateau, ...] = field(default=())

    def write(self, folder: Path) -> None:
        """Replace the file of a folder."""
        write_result(folder / FILE_NAME, SCHEMA, asdict(self))


def find_search(run_file: Path) -> SearchResult | None:
    """The search that a run file belongs to: in its folder, or one above; None for an ordinary run.

    Raises: RecordError when there is such a file, but it cannot be read.
    """
    file = find_result(run_file, FILE_NAME)
    return None if file is None else _read(file)


def is_whole_search(run_file: Path) -> bool:
    """Whether a run stands for its search: it lies in the folder of the search, not in one of a plateau.

    In the folder of a curve over several searches it stands for the curve (`records.scaling`).
    """
    folder = run_file.parent
    return (folder / FILE_NAME).is_file() and not (folder / SCALING_FILE).is_file()


def _read(file: Path) -> SearchResult:
    try:
        found = read_result(file, SCHEMA)
        plateaus = tuple(
            SearchPlateau(
                **{**plateau, "readings": tuple(SearchReading(**reading) for reading in plateau["readings"])}
            )
            for plateau in found.pop("plateaus")
        )
        return SearchResult(**{**found, "flags": tuple(found["flags"]), "plateaus": plateaus})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file}: cannot read the result of the search: {error}") from error
