"""A running reference shop, and customers as the load generator creates them."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from random import Random

import pytest

from doorbuster.load.http.client import HttpClient
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings
from doorbuster.storefronts import ReferenceShop, Visit


class RunningShop:
    """One shop and its customers."""

    def __init__(self, url):
        self.url = url
        self.client = HttpClient(url)
        self.catalogue = ReferenceShop.prepare(self.client)

    def customer(self, channel="web", *, driver=None, **visit):
        chosen = driver or ReferenceShop.for_channel(channel)
        return chosen(
            HttpClient(self.url),
            channel=channel,
            catalogue=self.catalogue,
            rng=Random(7),
            visit=Visit(**visit),
        )

    def ledger(self):
        return ReferenceShop.read_ledger(self.client, since_unix_s=0.0)

    def stock_of(self, sku):
        (row,) = [row for row in self.ledger().stock if row.sku == sku]
        return row


@contextmanager
def shop_process(log, **settings):
    chosen = ShopSettings(**{"products": 48, "query_time_s": 0.0, **settings})
    with start_shop(chosen, log) as process:
        yield RunningShop(process.url)


@pytest.fixture(scope="module", params=["in-house-2004", "replatformed"])
def shop(request, tmp_path_factory):
    with shop_process(tmp_path_factory.mktemp("shop") / "shop.log", profile=request.param) as opened:
        yield opened


@pytest.fixture
def start_shop_process(tmp_path):
    return partial(shop_process, tmp_path / "shop.log")
