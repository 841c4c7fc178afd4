"""The client behaves as Locust's HttpUser and FastHttpUser: the calls of `drop_in/calls.py` on all three."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CALLS = Path(__file__).parent / "drop_in" / "calls.py"
PROJECT = Path(__file__).parents[3]
KINDS = ("HttpUser", "FastHttpUser", "ours")

# Where the client differs from HttpUser, and why.
DIFFERENCES = {
    "request lower case": "Locust's statistics would have one entry for get and one for GET",
    "post json": "JSON is sent as UTF-8, not as \\u escapes: the same value",
    "post nan": "a mistake of the caller raises and is not recorded as a failure of the shop",
    "file without type": "a file has a Content-Type, as browsers and curl send it",
    "file of bytes": "the same",
    "dots": "the name is the URL as the locustfile has it, as with FastHttpUser",
    "dots escaped": "%2e%2e is resolved, as browsers do; requests sends /../",
    "fragment": "a fragment is not sent, so the event has none",
    "redirect to a query": "the same URL as the name of the entry: that of the first request",
    "cookies expire": "the year 70 is 1970 (RFC 6265, 5.1.1); Python's cookies take it for 2070",
    "redirect delete 302": "302 turns only POST into GET, as browsers and curl do (RFC 9110, 15.4.3)",
    "early hints": "an interim answer is skipped; requests takes it for the answer",
    "redirect put 302": "302 turns only POST into GET, as browsers and curl do (RFC 9110, 15.4.3)",
    "json byte-order mark": "a byte-order mark before JSON is skipped, as browsers do",
    "cookiejar iterates": "FastHttpUser's name of the cookies works too",
    "cookiejar clear": "the same",
    "client.iter_lines": "FastHttpUser's method works too",
    "prepared request": "HttpUser can prepare a request only after another was sent",
    "block interrupt": "the request was sent, so it is recorded; its status decides",
    "block reschedule": "the same",
    "block stop user": "the same",
    "block own exception": "every request is recorded, also if the task fails",
    "block assertion": "the same",
    "block raise_for_status": "the same",
    "failure without a block": "a ValueError instead of a LocustError, with the same advice",
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """What every kind of user did; the three run at the same time."""
    command = [sys.executable, "-W", "ignore", str(CALLS)]
    running = {
        kind: subprocess.Popen([*command, kind], cwd=PROJECT, text=True, stdout=subprocess.PIPE)
        for kind in KINDS
    }
    found = {}
    for kind, process in running.items():
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        found[kind] = json.loads(output)
    return found


def test_every_call_does_what_it_does_with_http_user(results):
    different = {
        label: (done, results["ours"][label])
        for label, done in results["HttpUser"].items()
        if done != results["ours"][label]
    }
    unexplained = {label: both for label, both in different.items() if label not in DIFFERENCES}
    assert unexplained == {}
    assert sorted(DIFFERENCES) == sorted(different), "an explained difference is gone"


def test_where_both_of_locusts_users_agree_the_client_does_the_same(results):
    """FastHttpUser lacks much of HttpUser's interface; what it has must not differ from both."""
    agreed = {
        label
        for label, done in results["HttpUser"].items()
        if done == results["FastHttpUser"][label] and done != results["ours"][label]
    }
    assert agreed <= DIFFERENCES.keys()


def test_no_call_of_the_client_is_lost(results):
    """Every request that reached the server is an event, redirects and challenges apart."""
    assert len(results["ours"]) > 190
    for label, done in results["ours"].items():
        if not label.startswith(("redirect", "block redirect", "auth digest", "caught loop")):
            assert len(done["events"]) >= len(done["sent"]), label


def test_what_the_client_does_not_support_is_refused_with_the_alternative():
    program = CALLS.with_name("refusals.py")
    subprocess.run([sys.executable, "-W", "ignore", str(program)], cwd=PROJECT, check=True, timeout=60)
