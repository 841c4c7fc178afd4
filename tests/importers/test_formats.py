"""Every format gives back the requests that were written in it: counts, failures, times, names, seconds."""

from collections import Counter

import numpy as np
import pytest
import result_files
from result_files import NAMES, START_MS, requests, write

from doorbuster.importers import ImportOptions, LabelMap, import_run, read_label_map
from doorbuster.records.histogram import Histogram
from doorbuster.records.import_info import import_info
from doorbuster.records.reader import Run

SENT = requests()


def imported(folder, form, sent=SENT, options=None):
    path = write(folder, form, sent)
    if form is result_files.mapped_csv:
        (folder / "map.yaml").write_text(result_files.MAPPING)
        options = ImportOptions(label_map=read_label_map(folder / "map.yaml"))
    name = "table" if form is result_files.mapped_csv else ""
    import_run(
        [path], folder / "run", title="t", name="n", scenario_text="title: t\n",
        options=options or ImportOptions(), form=name,
    )  # fmt: skip
    return Run.open(folder / "run")


def expected(sent):
    return Histogram.from_values(np.array([one.latency_ms * 1000 for one in sent]))


@pytest.mark.parametrize("form", [*result_files.NAMED, *result_files.UNNAMED], ids=lambda form: form.__name__)
def test_every_request_is_found_again(form, tmp_path):
    with imported(tmp_path, form) as run:
        assert run.histogram() == expected(SENT)
        failed = run.histogram(match=lambda series: not series.succeeded)
        if form not in (result_files.h2load_log,):
            assert failed == expected([one for one in SENT if one.failed])
        info = import_info(run.meta)
        assert (info.precision, info.requests, info.skipped) == ("exact", len(SENT), 0)


@pytest.mark.parametrize("form", result_files.NAMED, ids=lambda form: form.__name__)
def test_names_and_seconds_are_kept(form, tmp_path):
    with imported(tmp_path, form) as run:
        for name in NAMES:
            chosen = [one for one in SENT if one.name == name]
            assert run.histogram(match=lambda series, name=name: series.step == name) == expected(chosen)
        first_s = min(one.start_ms for one in SENT) // 1000
        assert run.meta.started_at_unix_ns == first_s * 1_000_000_000
        per_second = run.request_counts(lambda _: "all")["all"]
        wanted = Counter(one.start_ms // 1000 - first_s for one in SENT)
        assert {second: n for second, n in enumerate(per_second.tolist()) if n} == wanted


@pytest.mark.parametrize("form", result_files.HIDING, ids=lambda form: form.__name__)
def test_tools_that_hide_failures_are_said_to(form, tmp_path):
    with imported(tmp_path, form) as run:
        shown = [one for one in SENT if one.status and not (form is result_files.ab_tsv and one.failed)]
        assert run.histogram() == expected(shown)
        assert import_info(run.meta).hides_failures


@pytest.mark.parametrize("form", result_files.SUMMARIES, ids=lambda form: form.__name__)
def test_a_summary_is_kept_as_reported(form, tmp_path):
    with imported(tmp_path, form) as run:
        info = import_info(run.meta)
        assert info.precision == "summary"
        (total,) = [row for row in info.summaries if row.step == "all requests"]
        assert (total.n, total.failed) == (len(SENT), sum(one.failed for one in SENT))
        answered = form is result_files.artillery_json
        times = [one.latency_ms for one in SENT if one.status or not answered]
        assert total.percentiles_ms["90"] == pytest.approx(np.percentile(times, 90, method="inverted_cdf"))
        assert total.mean_ms == pytest.approx(np.mean(times))
        assert "hunter2" not in repr(run.meta)


def test_autocannon_counts_errors_and_statuses(tmp_path):
    with imported(tmp_path, result_files.autocannon_json) as run:
        (total,) = import_info(run.meta).summaries
        assert total.n == len(SENT)
        assert total.failed == sum(not 200 <= one.status < 300 for one in SENT)
        assert "97.5" in total.percentiles_ms


def test_transactions_can_be_counted_instead_of_their_samples(tmp_path):
    options = ImportOptions(count_transactions=True)
    with imported(tmp_path, result_files.jmeter_csv_with_transactions, options=options) as run:
        assert run.histogram().n == 2


def test_ends_become_starts(tmp_path):
    options = ImportOptions(stamp="end")
    ends = [
        result_files.Sent(one.end_ms, one.latency_ms, one.name, one.status, one.size) for one in SENT
    ]  # the times that a JMeter with timestamp.start=false writes
    with imported(tmp_path, result_files.jmeter_csv, sent=ends, options=options) as run:
        assert run.meta.started_at_unix_ns == min(one.start_ms for one in SENT) // 1000 * 1_000_000_000


def test_files_of_several_injectors_add_up(tmp_path):
    halves = (SENT[::2], SENT[1::2])
    paths = []
    for place, half in enumerate(halves):
        path = tmp_path / f"{place}.jtl"
        path.write_bytes(result_files.jmeter_csv(half))
        paths.append(path)
    import_run(
        paths, tmp_path / "run", title="t", name="n", scenario_text="title: t\n", options=ImportOptions()
    )
    with Run.open(tmp_path / "run") as run:
        assert run.histogram() == expected(SENT)
        assert import_info(run.meta).files == ("0.jtl", "1.jtl")


def test_labels_are_mapped_to_channels_journeys_and_steps(tmp_path):
    rules = (
        ("check*", {"channel": "web", "journey": "buy", "step": "place_order"}),
        ("* home", {"step": "landing"}),
    )
    options = ImportOptions(label_map=LabelMap(rules=rules))
    with imported(tmp_path, result_files.gatling_text, options=options) as run:
        found = {(series.channel, series.journey, series.step) for series in run.series}
    assert ("web", "buy", "place_order") in found
    assert {step for _, _, step in found} == {"landing", "search", "place_order"}


def test_memory_is_flushed_without_losing_a_request(tmp_path, monkeypatch):
    from doorbuster.importers import input_file, run_builder

    monkeypatch.setattr(run_builder, "_MAX_CELLS", 100)
    monkeypatch.setattr(input_file, "HEAD_BYTES", 2_000)
    monkeypatch.setattr(input_file, "CHUNK_BYTES", 3_000)
    with imported(tmp_path, result_files.jmeter_csv) as run:
        assert run.histogram() == expected(SENT)
        assert run.meta.started_at_unix_ns == START_MS // 1000 * 1_000_000_000
