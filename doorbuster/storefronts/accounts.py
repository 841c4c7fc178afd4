"""Accounts that test customers register at shops with open registration."""

from __future__ import annotations

import re
from random import Random

from doorbuster.storefronts.base import Visit

PASSWORD = "an-account-of-a-load-test"  # noqa: S105  of invented people
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")
_MAX_NAME_LENGTH = 60


def account_email(visit: Visit) -> str:
    """The e-mail address of this customer, the same in every channel; keeps the end, where names differ."""
    name = _NOT_IN_A_NAME.sub("-", visit.customer)[-_MAX_NAME_LENGTH:].strip("-") or "test"
    return f"{name}@customers.example.com"


def new_email(visit: Visit, rng: Random) -> str:
    """An e-mail address that no account has yet."""
    return f"{rng.getrandbits(40):x}-{account_email(visit)}"
