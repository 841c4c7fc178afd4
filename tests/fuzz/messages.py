"""Messages between nodes: reports of workers with values and bytes changed; each is recorded or refused."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import numpy as np

from doorbuster.errors import RecordError
from doorbuster.records.batch import (
    ROW_TYPES,
    Batch,
    CustomerCount,
    Event,
    Exemplar,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from tests.fuzz.mutations import mutated_bytes, mutated_value

SERIES = SeriesKey("web", "buy", "checkout", "ok", "")
META = RunMeta(
    run_id="run", title="t", scenario_name="s", scenario_text="", storefront="reference",
    target_url="http://127.0.0.1/", seed=1, workers=1, started_at_unix_ns=10**18, duration_s=10.0,
)  # fmt: skip


@lru_cache
def report() -> dict[str, Any]:
    """One report with a row of most kinds, as lists and numbers."""
    times = pack(np.array([1000, 2000, 3000]))
    batch = Batch(
        worker="w1", seq=0,
        requests=(RequestSecond(1, SERIES, 3, 100, 2000, times, times, times),),
        customers=(CustomerCount(1, "web", "buy", "served", "", "", 1, 1, 3),),
        orders=(OrderAttempt("run:1:1", "web", "buy", 1.0, 1.2, "acknowledged", "", "R1", 100, (("A", 1, 100),)),),
        exemplars=(Exemplar("slow", 1, SERIES, 3000, "id", "", "", 200),),
        health=(HealthSecond(1, 0.5, 1.0, 2, 3, 0, 10**7, times),),
        events=(Event(1.0, "note", "text"),),
    )  # fmt: skip
    wire: dict[str, Any] = msgpack.unpackb(msgpack.packb(batch.to_wire()))
    return wire


def case(rng: Random, folder: Path) -> str:
    try:
        batch = Batch.from_wire(_received(rng))
    except RecordError:
        return "refused"
    assert all(isinstance(row, kind) for name, kind in ROW_TYPES.items() for row in getattr(batch, name))
    for old in folder.iterdir():
        old.unlink()
    with RunWriter.create(folder, META, {}) as writer:
        writer.write([batch])
        writer.write([Batch("w2", 0, customers=(CustomerCount(2, "web", "buy", "served", "", "", 1, 1, 1),))])
        writer.finish("finished")
    with sqlite3.connect(folder / "run.sqlite") as db:  # what came after it is there
        assert db.execute("SELECT count(*) FROM batches").fetchone()[0] >= 1
    with Run.open(folder) as run:
        run.outcome_totals()
    return "recorded"


def _received(rng: Random) -> Any:
    """A message as the other side of the channel unpacks it."""
    if rng.random() < 0.3:
        try:
            return msgpack.unpackb(mutated_bytes(rng, msgpack.packb(report())))
        except (ValueError, msgpack.exceptions.UnpackException, RecursionError):
            return {}
    return mutated_value(rng, report())
