"""What is recorded of plain Locust files is what Locust itself counts, in ten styles of locustfile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from doorbuster.locust_process import local_workers
from doorbuster.records.histogram import middle_us
from doorbuster.records.reader import Run

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


def check_same(folder, own, at_least):
    """Counts, failures and times by request name are those of Locust's statistics."""
    with Run.open(folder) as run:
        counted = {name: sum(entry["num_requests"] for entry in entries) for name, entries in own.items()}
        failed = {name: sum(entry["num_failures"] for entry in entries) for name, entries in own.items()}
        by_step = run.histograms_by(lambda series: series.step)
        failures = run.histograms_by(lambda series: None if series.succeeded else series.step)
        assert counted == {name: times.n for name, times in by_step.items()}
        assert +Counter(failed) == Counter({name: times.n for name, times in failures.items()})
        assert sum(counted.values()) >= at_least
        assert run.meta.workload == "closed"
        assert run.meta.status == "finished"
        for name, entries in own.items():
            if not any(entry["num_none_requests"] for entry in entries):
                _same_times(by_step[name], entries)


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


def _same_times(times, entries):
    """The mean within a bin of the histogram; the median and p95 within the two digits that Locust keeps."""
    total_ms = sum(entry["total_response_time"] for entry in entries)
    mean_ms = float(middle_us(times.bins) @ times.bin_counts) / 1e3 / times.n
    assert mean_ms == pytest.approx(total_ms / times.n, rel=0.002, abs=0.01)
    kept = Counter()
    for entry in entries:
        kept.update({float(ms): n for ms, n in entry["response_times"].items()})
    for p in (0.5, 0.95):
        theirs, reached = 0.0, 0
        for ms, n in sorted(kept.items()):
            reached += n
            if reached >= p * times.n:
                theirs = ms
                break
        ours_ms = times.quantile_us(p) / 1e3
        assert ours_ms == pytest.approx(theirs, rel=0.06, abs=1.0)


def test_series_name_user_class_and_type_of_request(record, shop, feed, tmp_path):
    record("kinds_of_users.py", tmp_path / "run", *USERS, SHOP=shop.url)
    with Run.open(tmp_path / "run") as run:
        assert {(one.channel, one.journey, one.step) for one in run.series} == {
            ("NewsReader", "GET", "/news"),
            ("NewsReader", "POST", "/comments"),
            ("Robot", "GET", "/sitemap"),
        }


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
