"""A running reference shop, and customers of it as the load generator makes them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from random import Random

import pytest

from doorbuster.load.http.client import HttpClient
from doorbuster.storefronts import ReferenceShop, Visit


class Town:
    """One shop, and the people who come to it."""

    def __init__(self, url):
        self.url = url
        self.client = HttpClient(url)
        self.catalogue = ReferenceShop.prepare(self.client)

    def customer(self, channel="web", *, face=None, **visit):
        driver = face or ReferenceShop.for_channel(channel)
        return driver(
            HttpClient(self.url),
            channel=channel,
            catalogue=self.catalogue,
            rng=Random(7),
            visit=Visit(**visit),
        )

    def books(self):
        return ReferenceShop.read_ledger(self.client, since_unix_s=0.0)

    def stock_of(self, sku):
        (row,) = [row for row in self.books().stock if row.sku == sku]
        return row


@contextmanager
def shop_process(*options):
    command = [sys.executable, "-m", "doorbuster.shop", "--products", "48", "--query-time", "0"]
    command += ["--json-announce", "--die-with-parent", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Town(json.loads(process.stdout.readline())["url"])
        finally:
            process.kill()


@pytest.fixture(scope="module", params=["in-house-2004", "replatformed"])
def town(request):
    with shop_process("--profile", request.param) as opened:
        yield opened


@pytest.fixture
def open_town():
    return shop_process
