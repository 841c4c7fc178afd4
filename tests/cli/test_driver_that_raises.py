"""A driver of the user's own that raises outside a customer's visit: said in one line, with its place."""

from __future__ import annotations

import subprocess
import sys

import pytest

from doorbuster.records.reader import Run

DRIVER = """
{top}
from locust import events
from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import Catalogue, LedgerSnapshot, Listing, Storefront


class Frail(Storefront):
    name = "frail"
    looks = 0

    @classmethod
    def prepare(cls, client):
        {prepare}
        return Catalogue(("a",), (1.0,), ("x",), ("/c",))

    @classmethod
    def read_ledger(cls, client, *, since_unix_s):
        cls.looks += 1
        if cls.looks == {looks}:
            return None.stock
        return LedgerSnapshot((), ())

    def home(self):
        {home}
        return Listing(("a",))

    category = search = home

    def product(self, sku):
        return self.home()


class Web(Customer):
    channel = "web"

    def browse(self):
        self.step(self.shop.home)


install(events, drivers=[Frail])
"""
SCENARIO = """
title: frail
story: A driver that raises.
target: {storefront: "custom:frail", url: "http://127.0.0.1:9"}
demand: {peak: 5 customers/s, curve: {stages: [{for: 1s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}, patience: none}}
thresholds: {customers: ["count>=0"]}
safety: {allow: [127.0.0.1]}
drain: 2s
"""


@pytest.fixture
def run(tmp_path):
    def go(
        *, top: str = "", prepare: str = "pass", home: str = "pass", looks: int = 0
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "frail.py").write_text(
            DRIVER.format(top=top, prepare=prepare, home=home, looks=looks), encoding="utf-8"
        )
        (tmp_path / "frail.yaml").write_text(SCENARIO, encoding="utf-8")
        command = [sys.executable, "-m", "doorbuster", "run", "frail.yaml", "--locustfile", "frail.py"]
        return subprocess.run(
            [*command, "--out", "out", "--quiet"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )

    return go


@pytest.mark.truth
def test_a_driver_that_cannot_prepare_ends_the_run_with_its_line(run):
    ended = run(prepare="cls.catalogue")
    assert ended.returncode == 107
    assert ended.stderr == (
        "the driver 'frail' raised in prepare: AttributeError: type object 'Frail' has no attribute "
        "'catalogue' (frail.py:14: cls.catalogue); doorbuster probe shows each of its steps\n"
    )


def test_a_driver_that_exits_while_it_prepares_is_a_script_exception(run):
    ended = run(prepare="raise SystemExit(0)")
    assert ended.returncode == 107
    assert ended.stderr.startswith("the driver 'frail' raised in prepare: SystemExit: 0 (frail.py:14:")


def test_a_locustfile_that_exits_is_a_script_exception_at_its_line(run):
    ended = run(top="import sys; sys.exit(0)")
    assert ended.returncode == 107
    assert "frail.py:2: SystemExit: 0; a locustfile must not exit" in ended.stderr


def test_a_locustfile_that_kills_its_process_has_a_documented_code(run):
    ended = run(top="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.returncode == 97
    assert "it was killed by SIGKILL" in ended.stderr


def test_a_page_that_raises_a_base_exception_is_never_a_pass(run, tmp_path):
    home = "if self.rng.random() < 0.5: import gevent; raise gevent.Timeout()"
    ended = run(home=home)
    assert ended.returncode == 107, ended.stdout
    assert ended.stdout.lstrip().startswith("INCONCLUSIVE")
    with Run.open(tmp_path / "out") as recorded:
        totals = recorded.outcome_totals()
    assert totals.served > 0
    assert totals.dropped > 0
    assert totals.served + totals.dropped == totals.planned


def test_a_locustfile_that_cannot_be_loaded_is_a_script_exception(run):
    ended = run(top="import nothing_of_that_name")
    assert ended.returncode == 107
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name'" in ended.stderr


@pytest.mark.truth
def test_a_driver_that_cannot_read_the_ledger_before_the_run_ends_it_before_the_first_customer(run):
    ended = run(looks=1)
    assert ended.returncode == 107
    assert "the driver 'frail' raised in read_ledger: AttributeError" in ended.stderr
    assert "(frail.py:21: return None.stock)" in ended.stderr


def test_a_driver_that_cannot_read_the_ledger_after_the_run_only_loses_the_audit(run, tmp_path):
    ended = run(looks=2)
    assert ended.returncode == 0, ended.stderr
    with Run.open(tmp_path / "out") as recorded:
        assert recorded.ledger() is None
        assert [event.kind for event in recorded.events()].count("ledger_unreadable") == 1
