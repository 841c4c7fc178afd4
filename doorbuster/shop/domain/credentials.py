"""Password digests, and the accounts of a new shop.

A digest is real work: scrypt with N = 4096, r = 8, p = 1, about 10 ms of one core and 4 MB. That is a quarter
of today's recommendation, so that the shop and the load generator fit on a small machine.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import NamedTuple

from doorbuster.shop_settings import ACCOUNTS, MEMBER, OLD_MEMBER, OPENING_PASSWORD

SCRYPT_N = 4_096
SCRYPT_R = 8
SCRYPT_P = 1
_OPENING_SALT = bytes(16)


class PasswordHash(NamedTuple):
    """The stored form of a password."""

    salt: bytes
    digest: bytes


def hash_password(password: str) -> PasswordHash:
    salt = secrets.token_bytes(16)
    return PasswordHash(salt, _digest(password, salt))


def password_matches(password: str, secret: PasswordHash) -> bool:
    return hmac.compare_digest(_digest(password, secret.salt), secret.digest)


def accounts_at_opening() -> list[tuple[str, str, bytes, bytes, int]]:
    """Rows of the accounts table: members, and old members whose password expired with a new platform.

    They share one salt, which a real shop must never do: 10,000 digests would delay opening by two minutes.
    """
    secret = PasswordHash(_OPENING_SALT, _digest(OPENING_PASSWORD, _OPENING_SALT))
    kinds = ((MEMBER, 0), (OLD_MEMBER, 1))
    return [
        (email.format(number), f"Member {number}", *secret, expired)
        for email, expired in kinds
        for number in range(1, ACCOUNTS + 1)
    ]


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, dklen=32)
