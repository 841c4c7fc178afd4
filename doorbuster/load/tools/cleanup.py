"""Cancels the test orders that a run left in a shop: `python -m doorbuster.load.tools.cleanup RUN`.

A process of its own, as the probe is; `doorbuster cleanup` starts it and renders what it prints: one JSON
object a line, of kind "plan", "order", "after" or "error".

Rules
- Only orders of this run are touched. The shop's own ledger decides: an order is ours if its idempotency key
  starts with the run's id. A number of the run file is not enough, because a shop that was set up anew gives
  the same numbers to other people's orders; it counts only if the user says so (--by-reference).
- Cancelling is asked for once per order and never repeated on an error. Calling again picks up what is left.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doorbuster.errors import DoorbusterError, ExitCode, TargetError, UsageError
from doorbuster.load.exchange import UNREACHABLE
from doorbuster.load.target.drivers import find_driver
from doorbuster.load.target.endpoint import RUN_HEADER, UnmeasuredClient, check_allowed
from doorbuster.load.target.shop_clock import ledger_since
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario, read_scenario
from doorbuster.storefronts import Rejected, Storefront

REQUEST_LIMIT_S = 30.0
ALREADY = "already_cancelled"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What the run file says about a run's orders; `refs`: numbers that customers or the ledger named."""

    run_id: str
    storefront: str
    url: str
    embedded: bool
    started_unix_s: float
    refs: tuple[str, ...]
    scenario: Scenario

    @classmethod
    def read(cls, path: Path) -> RecordedRun:
        """Raises: RecordError for no run, UsageError for one that is still going."""
        with Run.open(path) as run:
            meta, ledger = run.meta, run.ledger()
            if meta.status == "running":
                raise UsageError(
                    f"{path} is still running; wait for its end, or stop it with a file {path}/STOP"
                )
            prefix = f"{meta.run_id}:"
            told = [order.order_ref for order in run.orders() if order.idempotency_key.startswith(prefix)]
            booked = [
                order.order_ref
                for order in (ledger.orders if ledger else ())
                if order.idempotency_key.startswith(prefix)
            ]
        return cls(
            run_id=meta.run_id,
            storefront=meta.storefront,
            url=meta.target_url,
            embedded=meta.shop_profile is not None,
            started_unix_s=meta.started_at_unix_ns / 1e9,
            refs=tuple(dict.fromkeys(ref for ref in (*told, *booked) if ref)),
            scenario=read_scenario(meta.scenario_text, file=meta.scenario_name),
        )


class Cleanup:
    """One round through the orders of a run."""

    def __init__(self, recorded: RecordedRun, driver: type[Storefront]) -> None:
        self._recorded = recorded
        self._driver = driver
        tag = {RUN_HEADER: f"{recorded.run_id}-cleanup"}
        self._client = UnmeasuredClient(recorded.url, tag, limit_s=REQUEST_LIMIT_S)

    def close(self) -> None:
        self._client.close()

    def standing(self) -> tuple[str, ...] | None:
        """The run's orders as the shop's ledger has them at this moment; None if it shows none. One without
        lines was cancelled or came back: it takes no stock any more.

        Raises: TargetError if it does not answer.
        """
        try:
            found = ledger_since(self._driver, self._client, since_unix_s=self._recorded.started_unix_s)
        except Rejected as refusal:
            raise TargetError(
                f"the ledger of {self._recorded.url} cannot be read: {' '.join(str(refusal).split())}"
            ) from refusal
        except (ValueError, KeyError, TypeError) as error:
            raise TargetError(
                f"{self._recorded.url} answers, but not like a '{self._driver.name}' storefront "
                f"({type(error).__name__}: {error}); is another shop running there now?"
            ) from error
        if found is None:
            return None
        books, _ = found
        prefix = f"{self._recorded.run_id}:"
        ours = (
            order.ref for order in books.orders if order.idempotency_key.startswith(prefix) and order.lines
        )
        return tuple(dict.fromkeys(ours))

    def cancel(self, refs: Iterable[str]) -> bool:
        """Cancel one after the other, and say so; True if all of them are cancelled.

        Raises: TargetError once the shop cannot be reached any more.
        """
        everything = True
        for ref in refs:
            result, cause, detail = "cancelled", "", ""
            try:
                self._driver.cancel_order(self._client, ref)
            except Rejected as refusal:
                cause, detail = refusal.cause, " ".join(refusal.detail.split())
                result = "already" if cause == ALREADY else "refused"
            _print({"kind": "order", "ref": ref, "result": result, "cause": cause, "detail": detail})
            if cause in UNREACHABLE:
                raise TargetError(f"{self._recorded.url} cannot be reached any more: {cause}")
            everything = everything and result != "refused"
        return everything


def can_cancel(driver: type[Storefront]) -> bool:
    """Whether the driver has its own `cancel_order`."""
    return driver.cancel_order.__func__ is not Storefront.cancel_order.__func__  # type: ignore[attr-defined]


def _clean_up(options: argparse.Namespace) -> ExitCode:
    recorded = RecordedRun.read(options.run)
    plan = {"kind": "plan", "run": recorded.run_id, "url": recorded.url, "recorded": len(recorded.refs)}
    if recorded.embedded:
        _print({**plan, "found_by": "embedded", "refs": []})
        return ExitCode.PASS
    check_allowed(recorded.scenario, recorded.url, confirmed_host=options.confirm_host or None)
    driver = find_driver(recorded.storefront, options.locustfile)
    cleanup = Cleanup(recorded, driver)
    try:
        refs = cleanup.standing()
        found_by = "ledger"
        if refs is None:
            found_by, refs = "reference", recorded.refs
            if not options.by_reference and not options.dry_run:
                raise UsageError(
                    f"the shop shows no books to the driver {driver.name!r}, so whose orders these are "
                    "cannot be checked; if the shop was not set up anew since the run, add --by-reference "
                    f"to cancel the {len(refs)} order numbers that the run noted"
                )
        _print({**plan, "found_by": found_by, "refs": list(refs)})
        if options.dry_run or not refs:
            return ExitCode.PASS
        if not can_cancel(driver):
            raise UsageError(
                f"the driver {driver.name!r} cannot cancel orders; add a class method "
                "cancel_order(client, ref) to it, or list them with --dry-run and cancel them by hand"
            )
        everything = cleanup.cancel(refs)
        left = cleanup.standing() if found_by == "ledger" else None
        if left is not None:
            _print({"kind": "after", "left": list(left)})
        return ExitCode.PASS if everything and not left else ExitCode.FAIL
    finally:
        cleanup.close()


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)  # noqa: T201  the protocol with `doorbuster cleanup`


def main() -> int:
    parser = argparse.ArgumentParser(prog="doorbuster.load.tools.cleanup")
    parser.add_argument("run", type=Path)
    parser.add_argument("--locustfile", default="")
    parser.add_argument("--confirm-host", default="")
    parser.add_argument("--by-reference", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    try:
        return int(_clean_up(parser.parse_args()))
    except DoorbusterError as error:
        _print({"kind": "error", "text": str(error), "exit_code": int(error.exit_code)})
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
