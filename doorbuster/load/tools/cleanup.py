"""Cancels the test orders that a run left in a shop, for `doorbuster cleanup`.

The rows are of kind "plan", "order", "after" or "error".

Rules
- Only orders of this run are cancelled. The shop's ledger decides: an order belongs to the run if its
  idempotency key starts with the run's id. An order number of the run file is not enough, because a
  reinstalled shop gives the same numbers to other orders; it counts only with --by-reference.
- Each order is cancelled once, without a repetition after an error. A second call continues with the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from doorbuster.errors import ExitCode, TargetError, UsageError
from doorbuster.load.exchange import UNREACHABLE
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.target.driver_lookup import find_driver
from doorbuster.load.target.endpoint import TargetAccess, UnmeasuredClient, check_allowed, target_headers
from doorbuster.load.target.shop_clock import ledger_since
from doorbuster.load.tools.command_interface import print_row, run_tool
from doorbuster.output import masked, named_exception
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario, read_scenario
from doorbuster.storefronts import Rejected, Storefront

REQUEST_LIMIT_S = 30.0
ALREADY = "already_cancelled"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run and its orders; `refs` are the order numbers in the run file, of customers and of the ledger."""

    run_id: str
    storefront: str
    url: str
    embedded: bool
    started_unix_s: float
    refs: tuple[str, ...]
    scenario: Scenario

    @classmethod
    def read(cls, path: Path) -> RecordedRun:
        """Raises: RecordError if there is no run, UsageError if it is still running."""
        with Run.open(path) as run:
            meta, ledger = run.meta, run.ledger()
            if meta.status == "running":
                raise UsageError(
                    f"{path} is still running; wait for its end, or stop it with a file {path}/STOP"
                )
            prefix = f"{meta.run_id}:"
            acknowledged = [
                order.order_ref for order in run.orders() if order.idempotency_key.startswith(prefix)
            ]
            booked = [
                order.order_ref
                for order in (ledger.orders if ledger else ())
                if order.idempotency_key.startswith(prefix)
            ]
        if not meta.storefront:
            raise UsageError(f"{path} is the run of a plain Locust file, which records no orders to cancel")
        return cls(
            run_id=meta.run_id,
            storefront=meta.storefront,
            url=meta.target_url,
            embedded=meta.shop_profile is not None,
            started_unix_s=meta.started_at_unix_ns / 1e9,
            refs=tuple(dict.fromkeys(ref for ref in (*acknowledged, *booked) if ref)),
            scenario=read_scenario(meta.scenario_text, file=meta.scenario_name),
        )


class Cleanup:
    """Finds and cancels the orders of a run."""

    def __init__(self, recorded: RecordedRun, driver: type[Storefront], hosts: AllowedHosts) -> None:
        self._recorded = recorded
        self._driver = driver
        scenario = recorded.scenario
        access = TargetAccess(f"{recorded.run_id}-cleanup", hosts, target_headers(scenario))
        ceiling = RequestCeiling(scenario.safety.max_rate_per_s, perf_counter)
        self._client = UnmeasuredClient(recorded.url, access, limit_s=REQUEST_LIMIT_S, ceiling=ceiling)

    def close(self) -> None:
        self._client.close()

    def remaining(self) -> tuple[str, ...] | None:
        """The run's orders in the shop's ledger; None if the shop exposes no ledger.

        Orders without lines were cancelled or returned and are left out.

        Raises: TargetError if the shop does not answer.
        """
        try:
            found = ledger_since(self._driver, self._client, since_unix_s=self._recorded.started_unix_s)
        except Rejected as refusal:
            reason = masked(" ".join(str(refusal).split()))
            raise TargetError(f"the ledger of {self._recorded.url} cannot be read: {reason}") from refusal
        except (ValueError, KeyError, TypeError) as error:
            raise TargetError(
                f"the responses of {self._recorded.url} are not those of a '{self._driver.name}' storefront "
                f"({named_exception(error)}); is another shop running there now?"
            ) from error
        if found is None:
            return None
        ledger, _ = found
        prefix = f"{self._recorded.run_id}:"
        own = [order for order in ledger.orders if order.idempotency_key.startswith(prefix)]
        return tuple(dict.fromkeys(order.ref for order in own if order.lines))

    def cancel(self, refs: Iterable[str]) -> bool:
        """Cancel the orders one by one and print each result; True if all are cancelled.

        Raises: TargetError when the shop cannot be reached any more.
        """
        all_cancelled = True
        for ref in refs:
            result, cause, detail = "cancelled", "", ""
            try:
                self._driver.cancel_order(self._client, ref)
            except Rejected as refusal:
                cause, detail = refusal.cause, masked(" ".join(refusal.detail.split()))
                result = "already" if cause == ALREADY else "refused"
            print_row({"kind": "order", "ref": ref, "result": result, "cause": cause, "detail": detail})
            if cause in UNREACHABLE:
                raise TargetError(f"{self._recorded.url} cannot be reached any more: {cause}")
            all_cancelled = all_cancelled and result != "refused"
        return all_cancelled


def can_cancel(driver: type[Storefront]) -> bool:
    """Whether the driver has its own `cancel_order`."""
    return driver.cancel_order.__func__ is not Storefront.cancel_order.__func__  # type: ignore[attr-defined]


def clean_up(
    *, run: str, locustfile: str, confirm_hosts: list[str], by_reference: bool, dry_run: bool
) -> ExitCode:
    """Cancel the orders of a run; empty texts mean that none was given.

    Raises: RecordError, UsageError, TargetError.
    """
    recorded = RecordedRun.read(Path(run))
    plan = {"kind": "plan", "run": recorded.run_id, "url": recorded.url, "recorded": len(recorded.refs)}
    if recorded.embedded:
        print_row({**plan, "found_by": "embedded", "refs": []})
        return ExitCode.PASS
    hosts = check_allowed(recorded.scenario, recorded.url, confirmed_hosts=confirm_hosts)
    driver = find_driver(recorded.storefront, locustfile)
    cleanup = Cleanup(recorded, driver, hosts)
    try:
        refs = cleanup.remaining()
        found_by = "ledger"
        if refs is None:
            found_by, refs = "reference", recorded.refs
            if not by_reference and not dry_run:
                raise UsageError(
                    f"the driver {driver.name!r} exposes no ledger to check whose orders these are; if the "
                    "shop was not reinstalled since the run, add --by-reference to cancel the "
                    f"{len(refs)} order numbers that the run recorded"
                )
        print_row({**plan, "found_by": found_by, "refs": list(refs)})
        if dry_run or not refs:
            return ExitCode.PASS
        if not can_cancel(driver):
            raise UsageError(
                f"the driver {driver.name!r} cannot cancel orders; add a class method "
                "cancel_order(client, ref) to it, or list them with --dry-run and cancel them by hand"
            )
        all_cancelled = cleanup.cancel(refs)
        left = cleanup.remaining() if found_by == "ledger" else None
        if left is not None:
            print_row({"kind": "after", "left": list(left)})
        return ExitCode.PASS if all_cancelled and not left else ExitCode.FAIL
    finally:
        cleanup.close()


if __name__ == "__main__":
    sys.exit(run_tool(clean_up))
