"""History files with bytes or rows changed; each is shown, exported and merged, or refused in one sentence."""

from __future__ import annotations

import shutil
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from functools import lru_cache
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from doorbuster.cli.history import _sections
from doorbuster.errors import RecordError, UsageError
from doorbuster.history.identity import TimelineKey
from doorbuster.history.otava_csv import otava_config, otava_csv
from doorbuster.history.store import History, HistoryRun, Sample, StoredMetric
from tests.fuzz.mutations import mutated_bytes
from tests.fuzz.run_files import change_rows, tables_of

RUNS = 12
SELECTION = {
    "scenario": None, "branch": None, "last": None, "everything": True, "window": 30, "max_p": 0.05,
    "min_change": 5.0, "as_otava": False,
}  # fmt: skip


@lru_cache
def original() -> Path:
    """A history of one timeline whose latency doubles half-way."""
    path = Path(mkdtemp()) / "history.sqlite"
    rng = Random(1)
    with History.open(path, create=True) as history:
        for number in range(RUNS):
            p95_ms = (200 if number < RUNS // 2 else 400) * rng.uniform(0.97, 1.03)
            history.add(
                TimelineKey("smoke 1a2b", "http://127.0.0.1", "2 cores", "main"),
                HistoryRun(f"run-{number}", 10**18 + number * 86_400 * 10**9, f"{number:040x}", "pass"),
                {
                    StoredMetric("http_req_duration p(95)", "ms", "lower", True): Sample(
                        p95_ms, p95_ms - 9, p95_ms + 9, 500
                    ),
                    StoredMetric("can_order rate", "ratio", "higher", True): Sample(0.99, 0.97, 1.0, 300),
                    StoredMetric("headroom", "value", "higher", True): Sample(
                        1.5 - number / 40, 1.2 - number / 40, None, 9
                    ),
                },
            )
        history.annotate(f"{3:040x}", "new cache")
    return path


def case(rng: Random, folder: Path) -> str:
    path = folder / "history.sqlite"
    for old in folder.glob("*.sqlite*"):
        old.unlink()
    if rng.random() < 0.35:
        path.write_bytes(mutated_bytes(rng, original().read_bytes()))
    else:
        shutil.copyfile(original(), path)
        change_rows(rng, path, tables_of(original()))
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            _use_everything(path)
    except (RecordError, UsageError) as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        return "refused"
    return "accepted"


def _use_everything(path: Path) -> None:
    """What `history show`, `export`, `annotate`, `merge` and `prune` do with it."""
    _sections(path, (), SELECTION, figures=4, peak=datetime(2026, 12, 4))  # noqa: DTZ001  as click gives it
    with History.open(path) as history:
        for key in history.timelines():
            metrics = tuple(history.values(key))
            otava_csv(history.runs(key), metrics)
            otava_config(metrics, test="t", file="f")
        history.annotate(f"{4:040x}", "a note")
    merged = path.with_name("merged.sqlite")
    shutil.copyfile(original(), merged)
    with History.open(merged) as history, History.open(path) as other:
        history.merge(other)
        history.prune(keep=3)
