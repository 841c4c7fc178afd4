"""Checks and normalises the catalogue that a driver has read, before customers and messages use it."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from math import isfinite
from typing import Any

from doorbuster.errors import AnalysisError
from doorbuster.records.storable import storable_text
from doorbuster.storefronts import Catalogue, Storefront

WEIGHTS = "cumulative_weights"
_SHOWN = 60  # characters of a value in a message


def checked_catalogue(driver: type[Storefront], found: object) -> Catalogue:
    """The catalogue with its columns as tuples, and texts that can be sent to a worker.

    Raises: AnalysisError for anything that customers could not choose products from.
    """

    def wrong(rule: str) -> AnalysisError:
        return AnalysisError(
            f"the driver {driver.name!r} returned a catalogue {rule}; correct its method prepare"
        )

    if not isinstance(found, Catalogue):
        raise AnalysisError(
            f"the driver {driver.name!r} returned {type(found).__name__} from prepare, which must return a "
            "Catalogue"
        )
    columns: dict[str, tuple[Any, ...]] = {}
    for field in fields(Catalogue):
        column = getattr(found, field.name)
        if not isinstance(column, tuple | list):
            raise wrong(f"whose {field.name} are {type(column).__name__} instead of a tuple")
        for value in column:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise wrong(f"with {repr(value)[:_SHOWN]} in {field.name}, which is neither text nor number")
        columns[field.name] = tuple(
            storable_text(value) if isinstance(value, str) else value for value in column
        )
    weights = columns[WEIGHTS]
    for name in (WEIGHTS, "places"):
        if len(columns[name]) != len(columns["skus"]) and (columns[name] or name == WEIGHTS):
            raise wrong(f"of {len(columns['skus']):,} skus and {len(columns[name]):,} {name}")
    if not all(isinstance(weight, int | float) and isfinite(weight) for weight in weights):
        raise wrong(f"whose {WEIGHTS} are not all finite numbers")
    if weights and (min(weights) < 0 or weights[-1] <= 0 or any(b < a for a, b in pairwise(weights))):
        raise wrong(f"whose {WEIGHTS} do not rise from 0 or more to a sum above 0")
    columns[WEIGHTS] = tuple(float(weight) for weight in weights)
    return Catalogue(**columns)
