"""What is recorded of plain Locust files is what Locust itself counts, in ten styles of locustfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbuster.locust_process import local_workers
from doorbuster.records.reader import Run
from tests.plain_locust.same_counts import check_same

FILES = Path(__file__).parent / "locustfiles"
USERS = ("--users", "4", "--spawn-rate", "20", "--run-time", "3s")
MANY = ("--users", "17", "--spawn-rate", "20", "--run-time", "5s")
STYLES = (
    "product_pages.py",
    "checkout_steps.py",
    "json_api.py",
    "own_client.py",
    "live_feed.py",
    "kinds_of_users.py",
    "task_dicts.py",
    "measured_blocks.py",
)
SHAPED, PREPARED = "rising_stages.py", "before_and_after.py"


def test_eight_styles_together_have_the_counts_and_times_of_locust(record, shop, feed, tmp_path):
    files = ",".join(str(FILES / style) for style in STYLES)
    own = record(files, tmp_path / "run", *MANY, SHOP=shop.url, FEED=feed.url)
    names = {"/products/[id]", "pay", "add to cart", "refused", "pushed", "/news", "/static", "price list"}
    assert names <= own.keys()
    check_same(tmp_path / "run", own, 200)


@pytest.mark.truth
@pytest.mark.parametrize("style", STYLES)
def test_every_style_alone_has_the_counts_and_times_of_locust(record, shop, feed, tmp_path, style):
    own = record(style, tmp_path / "run", *USERS, SHOP=shop.url, FEED=feed.url)
    check_same(tmp_path / "run", own, 20)


def test_a_load_shape_runs_until_its_end(record, shop, tmp_path):
    own = record(SHAPED, tmp_path / "run", SHOP=shop.url)
    check_same(tmp_path / "run", own, 20)
    with Run.open(tmp_path / "run") as run:
        assert run.meta.duration_s == 3
        assert run.customers_in_shop().max() == 5


def test_requests_of_listeners_around_the_test_are_recorded(record, shop, tmp_path):
    own = record(PREPARED, tmp_path / "run", *USERS, SHOP=shop.url, code=3)
    assert {"/prepare", "/clean-up"} <= own.keys()
    check_same(tmp_path / "run", own, 20)


def test_series_name_user_class_and_type_of_request(record, shop, feed, tmp_path):
    record("kinds_of_users.py", tmp_path / "run", *USERS, SHOP=shop.url)
    with Run.open(tmp_path / "run") as run:
        assert {(one.channel, one.journey, one.step) for one in run.series} == {
            ("NewsReader", "GET", "/news"),
            ("NewsReader", "POST", "/comments"),
            ("Robot", "GET", "/sitemap"),
        }


@pytest.mark.truth
def test_two_workers_count_as_locust_does(record, shop, feed, tmp_path):
    own = record("product_pages.py", tmp_path / "run", *USERS, *local_workers(2), SHOP=shop.url)
    check_same(tmp_path / "run", own, 40)
    with Run.open(tmp_path / "run") as run:
        assert run.meta.workers == 2
        assert [report.final for report in run.workers()] == [True] * 3  # the master has a report as well


def test_tags_class_names_and_shapes_of_locust_work(record, shop, tmp_path):
    own = record(
        "kinds_of_users.py", tmp_path / "run", *USERS, "-T", "read", "--", "NewsReader", SHOP=shop.url
    )
    assert list(own) == ["/news"]
