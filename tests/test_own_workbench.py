"""A user's own folder adds a channel, a journey, steps, and a section with a metric of its own."""

from __future__ import annotations

import json
import shutil

import pytest

from doorbuster.records.reader import Run


@pytest.fixture(scope="module")
def kiosk_run(root, tmp_path_factory, doorbuster):
    """The folder of a run of the kiosk workbench with two workers."""
    here = tmp_path_factory.mktemp("kiosk") / "workbench"
    shutil.copytree(root / "tests" / "workbench", here)
    done = doorbuster(
        "run", "kiosk", "--locustfile", "kiosk.py", "--workers", 2, "--out", here / "out", "--quiet", cwd=here
    )
    assert done.returncode in (0, 96), done.stdout + done.stderr  # 96: the machine was busy
    return here / "out"


def test_an_own_channel_and_its_steps_are_recorded(kiosk_run):
    with Run.open(kiosk_run) as run:
        kiosk = {series.step for series in run.series if series.channel == "kiosk"}
        customers = {(row.channel, row.journey) for row in run.customers()}
        orders = {attempt.channel for attempt in run.orders()}
        audit = run.audit()
    assert kiosk == {"home", "category", "product", "loyalty_card", "add_to_basket", "kiosk_payment"}
    assert customers == {("kiosk", "kiosk_order"), ("kiosk", "browse"), ("web", "browse")}
    assert orders == {"kiosk"}
    assert audit.missing == audit.duplicated == 0


def test_thresholds_on_own_channels_journeys_steps_and_sections_are_evaluated(kiosk_run):
    summary = json.loads((kiosk_run / "summary.json").read_text(encoding="utf-8"))
    results = {
        f"{result['selector']}: {result['threshold']}": result["status"] for result in summary["thresholds"]
    }
    assert {name: results[name] for name in results if not name.endswith("count==0")} == {
        "can_order: rate>=50%": "pass",
        "http_req_duration{step:loyalty_card}: med<30s": "pass",
        "http_req_duration{channel:kiosk}: med<30s": "pass",
        "served{journey:kiosk_order}: rate>=50%": "pass",
        "loyalty.cards_read: value>=1": "pass",
    }


def test_the_report_shows_own_steps_and_sections(kiosk_run):
    text = (kiosk_run / "summary.md").read_text(encoding="utf-8")
    page = (kiosk_run / "index.html").read_text(encoding="utf-8")
    assert "How many loyalty cards were read?" in text
    for name in ("kiosk", "loyalty_card", "kiosk_payment"):
        assert name in page


CHANGES = [
    (("kiosk_order", "think"), "is the name of a method that every customer has"),
    (("kiosk_order", "kiosk_return"), "has no journey 'kiosk_return' in Kiosk"),
    (("loyalty_card", "fingerprint"), "has no step 'fingerprint' (journey kiosk_order)"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_what_the_locustfile_lacks_is_reported_before_the_run(root, tmp_path, doorbuster, change, message):
    shutil.copytree(root / "tests" / "workbench", tmp_path / "bench")
    path = tmp_path / "bench" / "scenarios" / "kiosk.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    done = doorbuster(
        "run", "kiosk", "--locustfile", "kiosk.py", "--out", tmp_path / "out", cwd=tmp_path / "bench"
    )
    assert done.returncode == 104
    assert message in done.stderr
