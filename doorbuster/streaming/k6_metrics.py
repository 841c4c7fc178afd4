"""The metrics of a run under the names and labels of k6's Prometheus output.

Public Grafana dashboards for k6, such as 19665, then show a run unchanged. Rules:
- As in k6, statistics of times cover the run so far, in seconds, with one gauge for each statistic.
- Response times count from the intended start, as everywhere here; k6 counts from the actual start.
- Times that are not recorded by themselves (blocked, connecting, sending, receiving) are absent.
- The dashboards average over series. So whatever they do not break down is one series here: its average is
  the value itself.
- Only for Prometheus: other receivers have no dashboards for these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doorbuster.records.outcome import RequestOutcome
from doorbuster.streaming.metric import Distribution, Labels, MetricPoint, StreamedMetric, labels
from doorbuster.streaming.run_totals import Chances, RequestGroup, RunTotals

QUANTILES = (("min", 0.0), ("med", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


def k6_metrics(totals: RunTotals) -> tuple[StreamedMetric, ...]:
    """The metrics of a run as k6 would name them; every point carries its testid."""
    run_id = totals.meta.run_id if totals.meta else ""

    def metric(
        name: str, kind: str, meaning: str, points: Iterable[tuple[Labels, float]], unit: str = ""
    ) -> StreamedMetric:
        found = tuple(MetricPoint(tuple(sorted((*of, ("testid", run_id)))), value) for of, value in points)
        return StreamedMetric(
            f"k6_{name}", "counter" if kind == "counter" else "gauge", unit, f"{meaning} (k6)", found
        )

    def trend(name: str, meaning: str, of: dict[Labels, Distribution]) -> Iterator[StreamedMetric]:
        for stat, p in QUANTILES:
            values = ((key, found.quantile_s(p)) for key, found in of.items())
            points = [(key, value) for key, value in values if value is not None]
            yield metric(f"{name}_{stat}", "gauge", meaning, points, "seconds")
        means = [(key, found.sum_s / found.n) for key, found in of.items() if found.n]
        yield metric(f"{name}_avg", "gauge", meaning, means, "seconds")

    requests: dict[Labels, int] = {}
    tried: dict[Labels, Chances] = {}
    for group, found in totals.requests.items():
        key = tuple(sorted((*_request(group), ("scenario", group.channel))))
        requests[key] = requests.get(key, 0) + found.n
        of_step = tried.setdefault(labels(name=group.step, scenario=group.channel), Chances())
        of_step.add(int(group.outcome != RequestOutcome.OK), found.n)
    ended: dict[str, int] = {}
    for (channel, _), n in totals.customers.items():
        ended[channel] = ended.get(channel, 0) + n
    return (
        metric("http_reqs_total", "counter", "requests", requests.items()),
        metric("http_req_failed_rate", "gauge", "share of failed and abandoned requests",
               ((key, found.could / found.wanted) for key, found in tried.items())),
        *trend("http_req_duration", "response time from the intended start", totals.merged(_request)),
        *trend("http_req_waiting", "time to the first byte", totals.merged(_request, first_byte=True)),
        *trend("iteration_duration", "duration of visits", {(): Distribution(totals.visits)}),
        metric("iterations_total", "counter", "visits that have ended",
               ((labels(scenario=channel), n) for channel, n in ended.items())),
        metric("dropped_iterations_total", "counter", "arrivals the generator did not start",
               [((), sum(totals.dropped.values()))]),
        metric("checks_rate", "gauge", "customers who could, of those who wanted to", _checks(totals)),
        metric("vus", "gauge", "customers in the shop", [((), totals.in_flight)]),
        metric("vus_max", "gauge", "most customers in the shop so far", [((), totals.max_in_flight)]),
        metric("data_sent_total", "counter", "bytes of requests",
               [((), sum(found.bytes_sent for found in totals.requests.values()))], "bytes"),
        metric("data_received_total", "counter", "bytes of responses",
               [((), sum(found.bytes_received for found in totals.requests.values()))], "bytes"),
    )  # fmt: skip


def k6_trends(totals: RunTotals) -> tuple[StreamedMetric, ...]:
    """The times as distributions, as k6 names them with native histograms."""
    run_id = totals.meta.run_id if totals.meta else ""
    trends: tuple[tuple[str, str, dict[Labels, Distribution]], ...] = (
        ("http_req_duration", "response time from the intended start", totals.merged(_request)),
        ("http_req_waiting", "time to the first byte", totals.merged(_request, first_byte=True)),
        ("iteration_duration", "duration of visits", {(): Distribution(totals.visits)}),
    )

    def points(found: dict[Labels, Distribution]) -> tuple[MetricPoint, ...]:
        return tuple(
            MetricPoint(tuple(sorted((*key, ("testid", run_id)))), value) for key, value in found.items()
        )

    return tuple(
        StreamedMetric(f"k6_{name}_seconds", "distribution", "seconds", f"{meaning} (k6)", points(found))
        for name, meaning, found in trends
    )


def _request(group: RequestGroup) -> Labels:
    """The labels of a request in k6; status 0 stands for no response, as there."""
    ok = group.outcome == RequestOutcome.OK
    status = "200" if ok else group.cause.removeprefix("status_")
    return labels(
        expected_response="true" if ok else "false",
        name=group.step,
        status=status if status.isdigit() and len(status) == 3 else "0",
    )


def _checks(totals: RunTotals) -> Iterator[tuple[Labels, float]]:
    for name, by_channel in (("could browse", totals.browse), ("could order", totals.order)):
        both = Chances()
        for found in by_channel.values():
            both.wanted += found.wanted
            both.could += found.could
        if both.wanted:
            yield labels(check=name), both.could / both.wanted
