"""Entries of recordings, written by hand: a whole visit to a shop of pages, and single requests."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from doorbuster.storefronts.har.driver_draft import DriverDraft, draft_driver
from doorbuster.storefronts.har.recorded_request import RecordedVisit
from doorbuster.storefronts.har.recording import read_har

SHOP = "https://www.lanterns.example"
FORM = "application/x-www-form-urlencoded"


def entry(
    method: str,
    url: str,
    *,
    at: int | str = 0,
    body: Any = None,
    body_type: str = "",
    status: int = 200,
    mime: str = "text/html; charset=utf-8",
    text: Any = "",
    headers: dict[str, str] | None = None,
    answer_headers: dict[str, str] | None = None,
    kind: str = "",
) -> dict[str, Any]:
    """One entry. at: seconds after the start, or the text of the time. body: JSON, or text of `body_type`."""
    request: dict[str, Any] = {"method": method, "url": url if "://" in url or ":" in url[:9] else SHOP + url}
    request["headers"] = [{"name": name, "value": value} for name, value in (headers or {}).items()]
    if body is not None:
        is_json = not body_type and not isinstance(body, str)
        request["postData"] = {
            "mimeType": body_type or ("application/json" if is_json else FORM),
            "text": body if isinstance(body, str) else json.dumps(body),
        }
    if not isinstance(text, str):
        text, mime = json.dumps(text), "application/json"
    started = at if isinstance(at, str) else f"2027-02-03T09:{at // 60:02}:{at % 60:02}.250+01:00"
    return {
        "startedDateTime": started,
        "_resourceType": kind,
        "request": request,
        "response": {
            "status": status,
            "headers": [{"name": name, "value": value} for name, value in (answer_headers or {}).items()],
            "content": {"mimeType": mime, "text": text},
        },
    }


def visit(**instead: dict[str, Any] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A guest's visit, one entry per step, with `instead` in place of the steps named."""
    steps: dict[str, Any] = {
        "home": entry("GET", "/", at=1),
        "category": entry("GET", "/category/storm", at=5),
        "search": entry("GET", "/search?q=brass", at=9),
        "product": entry("GET", "/product/LAN-40", at=14),
        "add_to_basket": entry(
            "POST", "/basket/add", at=19, body="article=LAN-40&units=1", status=303, mime=""
        ),
        "basket": entry("GET", "/basket", at=20),
        "checkout_page": entry("GET", "/checkout", at=25),
        "checkout": entry("POST", "/checkout", at=40, body="name=Kim+Lee", status=303, mime=""),
        "thanks": entry("GET", "/thank-you", at=41),
    } | instead
    return [one for step in steps.values() for one in (step if isinstance(step, list) else [step])]


def read(entries: list[Any]) -> RecordedVisit:
    return read_har(
        json.dumps({"log": {"version": "1.2", "entries": entries}}).encode("utf-8", "surrogatepass")
    )


def draft(entries: list[Any]) -> DriverDraft:
    template = (files("doorbuster.cli") / "starter" / "driver.py.template").read_text(encoding="utf-8")
    drafted = draft_driver(template, read(entries))
    compile(drafted.text, "driver.py", "exec")
    return drafted
