"""The page about the client names what the code has."""

from __future__ import annotations

import inspect
from pathlib import Path

from doorbuster.load.http import CAUSES, HttpClient

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http-client.md").read_text()


def test_every_cause_stands_in_the_table_with_its_meaning():
    for cause, meaning in CAUSES.items():
        assert f"| `{cause}` | {meaning} |" in PAGE


def test_every_option_of_a_request_is_named():
    signature = "request(method, url, *, " + ", ".join(
        list(inspect.signature(HttpClient.request).parameters)[3:]
    )
    assert f"`{signature})`" in PAGE
