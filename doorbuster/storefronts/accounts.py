"""Accounts that test customers make for themselves, at shops that let everybody have one."""

from __future__ import annotations

import re
from random import Random

from doorbuster.storefronts.protocol import Visit

PASSWORD = "an-account-of-a-load-test"  # noqa: S105  of invented people
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_NAME = 60


def email_of(visit: Visit) -> str:
    """The account of this customer, the same in every channel; names end in what tells them apart."""
    name = _NOT_IN_A_NAME.sub("-", visit.customer)[-_LONGEST_NAME:].strip("-") or "test"
    return f"{name}@customers.example.com"


def new_email(visit: Visit, rng: Random) -> str:
    """An account nobody has so far."""
    return f"{rng.getrandbits(40):x}-{email_of(visit)}"
