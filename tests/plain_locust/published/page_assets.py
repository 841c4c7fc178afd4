"""A browser in short: the page, then its pictures and scripts at once, in greenlets of their own."""

import re
from urllib.parse import urljoin

import gevent
from gevent.pool import Pool
from locust import HttpUser, constant, task

ASSET = re.compile(r'(?:src|href)="(/assets/[^"]+)"')


class BrowserUser(HttpUser):
    wait_time = constant(0)

    def asset(self, path):
        self.client.get(urljoin("/", path), name="/assets/[file]")

    @task
    def page(self):
        body = self.client.get("/landing").text
        pool = Pool(4)
        for path in ASSET.findall(body):
            pool.spawn(self.asset, path)
        pool.join()

    @task
    def two_at_once(self):
        gevent.joinall(
            [gevent.spawn(self.client.get, "/assets/app.js"), gevent.spawn(self.client.get, "/landing")]
        )
