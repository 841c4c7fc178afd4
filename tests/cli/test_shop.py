"""`doorbuster shop`: its options are those of ShopSettings."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.cli import shop
from doorbuster.shop_settings import ShopSettings, WaitingRoomSettings

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
EVERY_OPTION = """--profile in-house-2004 --host ::1 --port 1 --folder x --reuse --workers 2 --query-time 5ms
  --products 100 --seed 3 --opening-stock 5 --queue-limit 9 --payment-time 300ms --notify 7 --sync-lag 2s
  --warm-cache --access-log x.log --payment-slots 2
  --stock-lock-time 50ms --page-cpu 5ms --max-connections 100 --otlp-endpoint http://127.0.0.1:4318
  --holding-page 30s --merchants north,south --waiting-room-active 20 --waiting-room-status 429
  --waiting-room-style queue-it --waiting-room-poll 3s --waiting-room-stay 90s"""


@pytest.fixture
def list_settings(monkeypatch):
    """The settings of the shop that a command line would start."""

    def run(*words):
        opened = []
        monkeypatch.setattr(
            "doorbuster.shop.server.serve", lambda settings, announce: opened.append(settings)
        )
        done = CliRunner().invoke(shop.command, words)
        return opened[0] if opened else done.output + str(done.exception)

    return run


def test_every_option_sets_its_setting(list_settings):
    rates = ["--warehouse-rate", "2 orders/s", "--waiting-room", "5 customers/s"]
    made = list_settings(*EVERY_OPTION.split(), *rates)
    for given in (made, made.waiting_room):
        untouched = [one.name for one in fields(given) if getattr(given, one.name) == one.default]
        assert untouched == []
    assert (made.query_time_s, made.warehouse_rate_per_s, made.merchants) == (0.005, 2.0, ("north", "south"))
    assert made.waiting_room == WaitingRoomSettings(
        admit_per_s=5.0, active=20, status=429, style="queue-it", poll_s=3.0, stay_s=90.0
    )


def test_without_options_it_is_the_default_shop_on_a_fixed_port(list_settings):
    assert list_settings() == ShopSettings(port=8004)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--query-time", "5"), '--query-time 5: must be a duration with its unit, such as "800ms"'),
        (("--workers", "many"), "--workers many: invalid literal for int()"),
        (("--workers", "0"), "workers must be 1..256 (got 0)"),
        (("--waiting-room-active", "5"), "a waiting room needs an admission rate: add --waiting-room RATE"),
    ],
)
def test_an_option_that_cannot_work_is_named(list_settings, words, message):
    assert message in list_settings(*words)


@pytest.mark.parametrize("option", shop.OPTIONS, ids=lambda option: option.name)
def test_the_reference_has_the_meaning_and_the_default_of_every_option(option):
    meaning = option.setting.help.removesuffix(".")
    usage = f"{option.name} {option.metavar}".strip().replace("|", "\\|")
    assert f"| `{usage}` | {meaning} | {option.default} |\n" in REFERENCE
