"""Injects faults into the services behind the shop while it is open; from this machine only."""

from __future__ import annotations

import ipaddress
import time
from math import inf
from typing import Any

from aiohttp import web

from doorbuster.shop.domain.dependencies import InjectedFault
from doorbuster.shop.http.open_shop import OPEN_SHOP
from doorbuster.shop.http.responses import json_response, read_fields
from doorbuster.shop.http_errors import BadRequest, FieldProblem, NotAllowed
from doorbuster.shop_settings import DEPENDENCIES, MAX_FAULT_DELAY_S, MAX_FAULT_S

_NUMBERS = {
    "at_s": (0.0, MAX_FAULT_S),
    "for_s": (0.0, MAX_FAULT_S),
    "slow_s": (0.0, MAX_FAULT_DELAY_S),
    "fail_ratio": (0.0, 1.0),
}


async def set_faults(request: web.Request) -> web.Response:
    """Replace all faults by those in the body: `{"starts_at_unix_s": 0, "faults": [{"dependency": ...}]}`.

    `at_s` counts from `starts_at_unix_s`, by default from now. An empty list removes all faults.
    """
    _check_is_local(request)
    body = await read_fields(request)
    problems: list[FieldProblem] = []
    entries = body.get("faults") if isinstance(body, dict) else None
    starts_at = body.get("starts_at_unix_s", time.time()) if isinstance(body, dict) else 0.0
    if not isinstance(entries, list):
        problems.append(FieldProblem("faults", "must be a list of faults"))
        entries = []
    if not _is_number(starts_at):
        problems.append(FieldProblem("starts_at_unix_s", "must be a Unix time in seconds"))
    faults = tuple(_fault(entry, f"faults[{index}].", problems) for index, entry in enumerate(entries))
    if problems:
        raise BadRequest(tuple(problems))
    request.app[OPEN_SHOP].dependencies.set_faults(faults, starts_at_unix_s=float(starts_at))
    return json_response({"faults": len(faults), "starts_at_unix_s": starts_at})


async def show_dependencies(request: web.Request) -> web.Response:
    """The current state of every service."""
    _check_is_local(request)
    return json_response({"dependencies": request.app[OPEN_SHOP].dependencies.now()})


def _fault(entry: Any, place: str, problems: list[FieldProblem]) -> InjectedFault:
    fields = entry if isinstance(entry, dict) else {}
    problems += [FieldProblem(place + str(name), "is not a valid key") for name in fields.keys() - _KEYS]
    dependency = fields.get("dependency")
    if dependency not in DEPENDENCIES:
        problems.append(FieldProblem(place + "dependency", f"must be one of {', '.join(DEPENDENCIES)}"))
    values: dict[str, float] = {}
    for name, (low, high) in _NUMBERS.items():
        value = fields.get(name)
        if value is None:
            continue
        if not _is_number(value) or not low <= value <= high:
            problems.append(FieldProblem(place + name, f"must be a number from {low:g} to {high:g}"))
        else:
            values[name] = float(value)
    return InjectedFault(
        dependency=str(dependency),
        at_s=values.get("at_s", 0.0),
        for_s=values.get("for_s", inf),
        slow_s=values.get("slow_s", 0.0),
        fail_ratio=values.get("fail_ratio", 0.0),
    )


_KEYS = {"dependency", *_NUMBERS}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_is_local(request: web.Request) -> None:
    try:
        is_local = ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise NotAllowed("faults can only be set from the machine on which the shop runs")
