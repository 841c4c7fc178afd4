"""Result files that other tools wrote; their totals were counted by other means (grep, the tools)."""

from pathlib import Path

import pytest

from doorbuster.importers import ImportOptions, find_zone, import_run
from doorbuster.records.import_info import import_info
from doorbuster.records.reader import Run

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = {  # requests, failed
    "results/ab-g.tsv": (10, 0),
    "results/gatling-binary-3.13fmt.simulation.log": (105, None),
    "results/gatling-binary-3.14.3-groups.simulation.log": (25, None),
    "results/gatling-text-3.12-known-stats.simulation.log": (8, 0),
    "results/gatling-text-3.5.1.simulation.log": (220, None),
    "results/ghz-report.json": (186, 0),
    "results/jmeter-csv-datetime.jtl": (3, 1),
    "results/jmeter-csv-multiline.jtl": (2, 1),
    "results/jmeter-csv-nonhttp-errors.jtl": (6, 5),
    "results/jmeter-csv-transactions.jtl": (210, 0),
    "results/jmeter-xml-nested.jtl": (10, 0),
    "results/k6-out-csv-2021.csv": (4, 2),
    "results/tank-phout.dat": (200, None),
    "results/vegeta-gob-2020.bin": (6, None),
    "hdrhistogram/jhiccup_2_0_7s_log_v2.hlog": (48_761, None),
    "hdrhistogram/tagged_log_v2.hlog": (32_290, None),
    "hdrhistogram/ycsb_log_v1.hlog": (300_056, None),
    "hdrhistogram/rate_12krps.hgrm": (3_477_000, None),
    "hdrhistogram/rate_16krps_co.hgrm": (4_632_000, None),
}
MEANS_MS = {  # as HdrHistogram prints them
    "hdrhistogram/rate_12krps.hgrm": 4.881,
    "hdrhistogram/rate_16krps_co.hgrm": 4.312,
}


def imported(name, folder):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand")
    options = ImportOptions(zone=find_zone("UTC") if name.startswith("results/jmeter-csv") else None)
    import_run([path], folder / "run", title="t", name="n", scenario_text="title: t\n", options=options)
    return Run.open(folder / "run")


@pytest.mark.parametrize("name", FILES)
def test_every_request_of_a_real_file_is_found(name, tmp_path):
    n, failed = FILES[name]
    with imported(name, tmp_path) as run:
        assert run.histogram().n == n
        if failed is not None:
            assert run.histogram(match=lambda series: not series.succeeded).n == failed


@pytest.mark.parametrize("name", MEANS_MS)
def test_a_distribution_keeps_its_mean_within_its_buckets(name, tmp_path):
    with imported(name, tmp_path) as run:
        error = import_info(run.meta).bucket_error
        assert MEANS_MS[name] <= run.histogram().mean_us / 1e3 <= MEANS_MS[name] * (1 + error)


def test_known_statistics_of_gatling(tmp_path):
    with imported("results/gatling-text-3.12-known-stats.simulation.log", tmp_path) as run:
        times = run.histogram()
        assert times.min_us == pytest.approx(2e6, rel=0.001)
        assert times.max_us == pytest.approx(9e6, rel=0.001)
        assert times.mean_us == pytest.approx((2 + 9 + 4 + 4 + 4 + 5 + 5 + 7) / 8 * 1e6, rel=0.001)


def test_locusts_history_keeps_totals_and_no_percentile(tmp_path):
    with imported("results/locust-fullhistory-2.46_stats_history.csv", tmp_path) as run:
        summaries = {row.step: row for row in import_info(run.meta).summaries}
        assert not any(row.percentiles_ms for row in summaries.values())
        assert summaries["all requests"].mean_ms > 0
