"""Ledgers as CSV: orders and stock with texts and bytes changed; each is audited or refused with its lines."""

from __future__ import annotations

from pathlib import Path
from random import Random

from doorbuster.errors import UsageError
from doorbuster.records.batch import OrderAttempt
from doorbuster.records.ledger import audit
from doorbuster.records.ledger_csv import read_ledger_csv
from doorbuster.records.writer import RunWriter
from tests.fuzz.mutations import ODD_TEXTS, mutated_bytes, mutated_text

ORDERS = """order_ref,idempotency_key,channel,placed_at,picked_at,total_pence,sku,quantity,unit_pence
R1,run:1:1,web,2026-11-27T08:00:03Z,,1998,LAMP,2,999
R1,run:1:1,web,2026-11-27T08:00:03Z,,1998,BOWL,1,0
R2,,app,2026-11-27T09:00:04+01:00,2026-11-27T08:05:00Z,500,CHAIR,1,500
R3,run:3:1,store,1795766405,,100,,,
"""
STOCK = "sku,opening,on_hand,sold\nLAMP,10,8,2\nBOWL,5,4,1\nCHAIR,7,6,\n"
CELLS = (
    "R9", "R1", "", "1", "0", "-1", "99999999999999999999", "9007199254740992", "1e3", "1_000", "٣", "1.5", "1795766403.5",
    "2026-11-27T08:00:03+23:59", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-27T08:00:03",
    "2026-11-27", "20261127T080003Z", "run:2:1", "LAMP", "web", "x" * 200_000,
)  # fmt: skip
STARTED_AT = 1_795_766_400.0
ATTEMPTS = tuple(
    OrderAttempt(
        f"run:{n}:1", "web", "buy", n, n + 1.0, "acknowledged", "", f"R{n}", 1998, (("LAMP", 2, 999),)
    )
    for n in range(1, 4)
)


def case(rng: Random, folder: Path) -> str:
    orders, stock = folder / "orders.csv", folder / "stock.csv"
    chosen = rng.choice((orders, stock))
    for path, text in ((orders, ORDERS), (stock, STOCK)):
        changed = text if path != chosen else _changed(rng, text)
        data = changed.encode("utf-8", "surrogatepass")
        path.write_bytes(mutated_bytes(rng, data) if path == chosen and rng.random() < 0.1 else data)
    try:
        ledger = read_ledger_csv(
            orders, stock if rng.random() < 0.7 else None, run_id="run", attempts=ATTEMPTS,
            started_at_unix_s=STARTED_AT, read_at_unix_s=STARTED_AT + 100,
        )  # fmt: skip
    except UsageError as error:
        assert len(str(error)) < 20_000
        return "refused"
    audit(ATTEMPTS, ledger, run_id="run")
    _store(folder / "run.sqlite", ledger)
    return "accepted"


def _changed(rng: Random, text: str) -> str:
    """The text with one cell replaced, or with any change."""
    if rng.random() < 0.3:
        return mutated_text(rng, text)
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    cells = lines[at].split(",")
    value = rng.choice(CELLS) if rng.random() < 0.6 else rng.choice(ODD_TEXTS)
    cells[rng.randrange(len(cells))] = f'"{value}"' if rng.random() < 0.2 else value
    lines[at] = ",".join(cells)
    return "\n".join(lines)


def _store(path: Path, ledger: object) -> None:
    from tests.fuzz.run_files import SAMPLE

    path.write_bytes(SAMPLE.read_bytes())
    with RunWriter.amend(path) as writer:
        writer.write_ledger(ledger)  # type: ignore[arg-type]
    path.unlink()
