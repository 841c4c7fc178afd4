"""The journey of a probe: the pages of the scenario, or those of a bundled storefront."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class JourneyStep:
    """One page: opened by its path, or reached by a click after filling fields.

    expect: selector of an element that the page must have, else it is not the page that was asked for.
    """

    page: str
    open: str = ""
    click: str = ""
    fill: dict[str, str] = field(default_factory=dict)
    expect: str = ""

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> JourneyStep:
        return cls(**row)


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """What one probe has to do. `addresses`: as for `chromium.resolver_rules`."""

    probe: int
    executable: str
    url: str
    addresses: dict[str, str]
    headers: dict[str, str]
    secrets: tuple[str, ...]
    journey: tuple[JourneyStep, ...]
    patience_s: float
    every_s: float
    phone: bool
    starts_at_unix_s: float
    cores: tuple[int, ...]
    output: str

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ProbeTask:
        values = {
            **row,
            "journey": tuple(map(JourneyStep.from_json, row["journey"])),
            "secrets": tuple(row["secrets"]),
            "cores": tuple(row["cores"]),
        }
        return cls(**values)
