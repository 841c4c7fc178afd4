"""The ledgers of the target's merchants: their orders before the first customer, and those of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from doorbuster.errors import AnalysisError
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.runtime.steady_clock import SteadyClock
from doorbuster.load.target.driver_lookup import driver_error
from doorbuster.load.target.endpoint import TargetAccess, UnmeasuredClient
from doorbuster.load.target.ledger_reader import LedgerBaseline, merge, read_baseline, read_ledger
from doorbuster.output import masked
from doorbuster.records.ledger import Ledger
from doorbuster.storefronts import Rejected, Storefront

logger = logging.getLogger("doorbuster")

LEDGER_LIMIT_S = 20.0
UNREADABLE = "ledger_unreadable"  # kind of event

Read = TypeVar("Read")


class MerchantLedgers:
    """Reads the ledgers of one run; without one of them there is no audit.

    urls: by merchant. clock: the generator's.
    """

    def __init__(
        self,
        driver: type[Storefront],
        urls: Mapping[str, str],
        access: TargetAccess,
        ceiling: RequestCeiling,
        clock: SteadyClock,
    ) -> None:
        self._driver, self._urls, self._access = driver, urls, access
        self._ceiling, self._clock = ceiling, clock
        self._baselines: dict[str, LedgerBaseline] = {}
        self.refusals: list[str] = []  # why a ledger could not be read before the first customer

    def read_baselines(self) -> None:
        """Read the ledgers before the first customer.

        Raises: AnalysisError if the driver raises: better no run than one without an audit.
        """
        for merchant, url in self._urls.items():
            read = partial(read_baseline, self._driver, started_unix_s=self._clock(), clock=self._clock)
            try:
                baseline = self._with_client(url, read)
            except Rejected as refusal:
                logger.warning("the shop's ledger cannot be read: %s", refusal)
                self.refusals.append(masked(str(refusal)))
                continue
            if baseline is not None:
                self._baselines[merchant] = baseline

    def clock_corrections(self) -> tuple[str, ...]:
        """How far the clocks of the shops are from the generator's, where they are."""
        return tuple(
            f"{f'the shop of {merchant}' if merchant else 'the shop'}: clock {baseline.clock_ahead_s:+.0f} s "
            "from the generator's, corrected in the times of its orders"
            for merchant, baseline in self._baselines.items()
            if baseline.clock_ahead_s
        )

    def read(
        self,
        *,
        run_id: str,
        starts_at_unix_s: float,
        settle_s: float,
        record: Callable[[str, str], None],
        on_clock_set: Callable[[str, float], None],
    ) -> Ledger | None:
        """The ledger of all merchants after the run; None unless every merchant exposes one.

        Args:
            record: called with the kind and text of an event if a ledger cannot be read.
            on_clock_set: called with the name of a clock and by how many seconds it was set.
        """
        ledgers: dict[str, Ledger] = {}
        for merchant, url in self._urls.items():
            baseline = self._baselines.get(merchant)
            if baseline is None:
                return None
            read = partial(
                read_ledger, self._driver,
                baseline=baseline, started_unix_s=starts_at_unix_s, settle_s=settle_s,
                run_id=run_id, clock=self._clock,
                on_clock_set=partial(on_clock_set, f"the clock of the shop {merchant}".rstrip()),
            )  # fmt: skip
            ledger: Ledger | None = None
            try:
                ledger = self._with_client(url, read)
            except Rejected as refusal:
                logger.warning("the shop's ledger cannot be read: %s", refusal)
                record(UNREADABLE, masked(str(refusal)))
            except AnalysisError as fault:
                logger.error("%s", fault)
                record(UNREADABLE, masked(str(fault)))
            if ledger is None:
                return None
            ledgers[merchant] = ledger
        return merge(ledgers)

    def _with_client(self, url: str, read: Callable[[UnmeasuredClient], Read]) -> Read:
        """Read with a client of the shop at `url`.

        Raises:
            Rejected: the shop refuses.
            AnalysisError: the driver raises.
        """
        client = UnmeasuredClient(url, self._access, limit_s=LEDGER_LIMIT_S, ceiling=self._ceiling)
        try:
            return read(client)
        except Rejected:
            raise
        except BaseException as error:
            raise driver_error(self._driver, "read_ledger", error) from error
        finally:
            client.close()
