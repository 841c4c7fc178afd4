"""Writes one list of requests in the formats of many tools, so that what an import finds is known exactly."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

START_MS = 1_764_230_400_000  # 2025-11-27 08:00:00 UTC
NAMES = ("home", "search", "checkout")


@dataclass(frozen=True)
class Sent:
    """One request: times in ms, whole so that every format can hold them."""

    start_ms: int
    latency_ms: int
    name: str
    status: int
    size: int

    @property
    def failed(self) -> bool:
        return self.status >= 400 or self.status == 0

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.latency_ms


def requests(n: int = 400, seed: int = 7) -> list[Sent]:
    """A minute of requests, in the order in which they ended."""
    random = np.random.default_rng(seed)
    starts = np.sort(random.integers(0, 60_000, n)) + START_MS
    latencies = random.lognormal(4.5, 0.8, n).astype(int) + 1
    names = random.choice(NAMES, n)
    statuses = random.choice([200, 200, 200, 200, 200, 200, 302, 404, 503, 0], n)
    made = [
        Sent(int(start), int(latency), str(name), int(status), int(size))
        for start, latency, name, status, size in zip(
            starts, latencies, names, statuses, random.integers(100, 9000, n), strict=True
        )
    ]
    return sorted(made, key=lambda one: one.end_ms)


def rfc3339(ms: int, nanoseconds: int = 0) -> str:
    """UTC with nine decimals, as Go writes it: without trailing zeros."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    fraction = f"{ms % 1000:03d}{nanoseconds:06d}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{f'.{fraction}' if fraction else ''}Z"


def k6_json(sent: list[Sent]) -> bytes:
    lines = [
        '{"type":"Metric","data":{"name":"http_req_duration","type":"trend"},"metric":"http_req_duration"}'
    ]
    for one in sent:
        tags = {
            "name": one.name, "method": "GET", "status": str(one.status), "scenario": "shoppers",
            "expected_response": "false" if one.failed else "true", "url": f"http://shop/{one.name}",
        }  # fmt: skip
        if not one.status:
            tags |= {"error": "dial: connection refused", "error_code": "1212"}
        data = {"time": rfc3339(one.end_ms), "value": float(one.latency_ms), "tags": tags}
        for metric in ("http_reqs", "http_req_waiting", "http_req_duration"):
            value = 1 if metric == "http_reqs" else data["value"]
            lines.append(json.dumps({"metric": metric, "type": "Point", "data": {**data, "value": value}}))
    return "\n".join(lines).encode() + b"\n"


def k6_json_gz(sent: list[Sent]) -> bytes:
    return gzip.compress(k6_json(sent), mtime=0)


def k6_csv(sent: list[Sent]) -> bytes:
    rows = ["metric_name,timestamp,metric_value,expected_response,method,name,scenario,status,extra_tags"]
    for one in sent:
        tags = f"{'false' if one.failed else 'true'},GET,{one.name},shoppers,{one.status},"
        stamp = one.end_ms * 1000
        rows.append(f"http_reqs,{stamp},1.000000,{tags}")
        rows.append(f"http_req_duration,{stamp},{one.latency_ms:.6f},{tags}")
    return "\n".join(rows).encode() + b"\n"


def _jmeter_code(one: Sent) -> tuple[str, str]:
    if one.status:
        return str(one.status), "OK" if not one.failed else "Error"
    return (
        "Non HTTP response code: java.net.ConnectException",
        "Non HTTP response message: Connection refused",
    )


def jmeter_csv(sent: list[Sent], delimiter: str = ",", header: bool = True) -> bytes:
    names = [
        "timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "dataType",
        "success",
        "failureMessage", "bytes", "sentBytes", "grpThreads", "allThreads", "URL",
        "Latency", "IdleTime", "Connect",
    ]  # fmt: skip
    rows = [delimiter.join(names)] if header else []
    for one in sent:
        code, message = _jmeter_code(one)
        rows.append(
            delimiter.join(
                str(value)
                for value in (
                    one.start_ms, one.latency_ms, one.name, code, message, "Shoppers 1-3", "text",
                    "false" if one.failed else "true", "", one.size, 120, 3, 3, f"http://shop/{one.name}",
                    max(one.latency_ms - 1, 0), 0, 0,
                )
            )
        )  # fmt: skip
    return "\n".join(rows).encode() + b"\n"


def jmeter_csv_without_header(sent: list[Sent]) -> bytes:
    return jmeter_csv(sent, header=False)


def jmeter_csv_with_semicolons(sent: list[Sent]) -> bytes:
    return jmeter_csv(sent, delimiter=";")


def jmeter_csv_with_transactions(sent: list[Sent]) -> bytes:
    lines = jmeter_csv(sent).decode().splitlines()
    parent = (
        f"{START_MS},5000,whole visit,200,"
        '"Number of samples in transaction : 3, number of failing samples : 0",'
        "Shoppers 1-3,,true,,9,9,3,3,null,0,0,0"
    )
    return "\n".join([*lines[:200], parent, *lines[200:], parent]).encode() + b"\n"


def jmeter_xml(sent: list[Sent]) -> bytes:
    rows = ['<?xml version="1.0" encoding="UTF-8"?>', '<testResults version="1.2">']
    for place, one in enumerate(sent):
        code, message = _jmeter_code(one)
        inner = (
            '<httpSample t="1" ts="1" s="true" lb="logo.png" rc="200" rm="OK" by="5"/>'
            if place % 5 == 0
            else ""
        )
        rows.append(
            f'<httpSample t="{one.latency_ms}" lt="{one.latency_ms}" ts="{one.start_ms}" '
            f's="{"false" if one.failed else "true"}" lb="{one.name}" rc="{code}" rm="{message}" '
            'tn="Shoppers 1-1" '
            f'by="{one.size}">{inner}</httpSample>'
        )
    return "\n".join([*rows, "</testResults>"]).encode()


def gatling_text(sent: list[Sent]) -> bytes:
    rows = [f"RUN\tshop.Peak\tpeak\t{START_MS}\t \t3.9.5", f"USER\tshoppers\tSTART\t{START_MS}"]
    for one in sent:
        ko = f"KO\t{_gatling_message(one)}" if one.failed else "OK\t "
        rows.append(f"REQUEST\t\t{one.name}\t{one.start_ms}\t{one.end_ms}\t{ko}")
    rows.append(f"GROUP\tvisit\t{START_MS}\t{START_MS + 9000}\t8000\tOK")
    return "\n".join(rows).encode() + b"\n"


def _gatling_message(one: Sent) -> str:
    if one.status:
        return f"status.find.in(200,304), but actually found {one.status}"
    return "j.n.ConnectException: Connection refused"


def gatling_old_text(sent: list[Sent]) -> bytes:
    """The layout of 2.0: scenario and user first, four times."""
    rows = [f"shop.Peak\tpeak\tRUN\t{START_MS}\t \t2.0"]
    for one in sent:
        end = f"KO\t{_gatling_message(one)}" if one.failed else "OK\t "
        times = f"{one.start_ms}\t{one.start_ms}\t{one.end_ms}\t{one.end_ms}"
        rows.append(f"shoppers\t17\tREQUEST\t\t{one.name}\t{times}\t{end}")
    return "\n".join(rows).encode() + b"\n"


def gatling_binary(sent: list[Sent]) -> bytes:
    cache: dict[str, int] = {}

    def number(value: int) -> bytes:
        return struct.pack(">i", value)

    def text(value: str) -> bytes:
        return number(0) if not value else number(len(value)) + value.encode("latin-1") + b"\0"

    def cached(value: str) -> bytes:
        if value in cache:
            return number(-cache[value])
        cache[value] = len(cache) + 1
        return number(cache[value]) + text(value)

    def request(one: Sent) -> bytes:
        name = cached(one.name)
        times = number(one.start_ms - START_MS) + number(one.end_ms - START_MS)
        message = cached(_gatling_message(one) if one.failed else "")
        return b"\1" + number(0) + name + times + (b"\0" if one.failed else b"\1") + message

    run = b"\0" + text("3.13.1") + text("shop.Peak") + struct.pack(">q", START_MS) + text("")
    scenarios, assertions = number(1) + text("shoppers"), number(1) + number(3) + b"abc"
    user = b"\2" + number(0) + b"\1" + number(0)
    return run + scenarios + assertions + user + b"".join(map(request, sent))


def vegeta_csv(sent: list[Sent]) -> bytes:
    rows = []
    for place, one in enumerate(sent):
        error = "" if one.status else "connection refused"
        error = error or (f"{one.status} Error" if one.failed else "")
        rows.append(
            f"{one.start_ms}000000,{one.status},{one.latency_ms}000000,120,{one.size},{error},Ym9keQ==,"
            f"peak,{place},GET,"
            f"{one.name},"
        )
    return "\n".join(rows).encode() + b"\n"


def vegeta_json(sent: list[Sent]) -> bytes:
    rows = [
        json.dumps(
            {
                "attack": "peak", "seq": place, "code": one.status, "timestamp": rfc3339(one.start_ms),
                "latency": one.latency_ms * 1_000_000, "bytes_out": 120, "bytes_in": one.size,
                "error": "" if one.status and not one.failed else "connection refused", "body": "Ym9keQ==",
                "method": "GET", "url": one.name, "headers": {"A": ["b"]},
            }
        )
        for place, one in enumerate(sent)
    ]  # fmt: skip
    return "\n".join(rows).encode() + b"\n"


def vegeta_gob(sent: list[Sent]) -> bytes:
    """Go's gob, written from its description: the types first, then each result without its zero fields."""

    def unsigned(value: int) -> bytes:
        if value <= 127:
            return bytes([value])
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return bytes([256 - len(data)]) + data

    def signed(value: int) -> bytes:
        return unsigned(value << 1 if value >= 0 else (~value << 1) | 1)

    def text(value: str | bytes) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        return unsigned(len(data)) + data

    def message(data: bytes) -> bytes:
        return unsigned(len(data)) + data

    fields = (
        ("Attack", 6), ("Seq", 3), ("Code", 3), ("Timestamp", 66), ("Latency", 2), ("BytesOut", 3),
        ("BytesIn", 3),
        ("Error", 6), ("Body", 5), ("Method", 6), ("URL", 6),
    )  # fmt: skip
    described = b"".join(b"\1" + text(name) + b"\1" + signed(kind) + b"\0" for name, kind in fields)
    common = b"\1\1" + text("Result") + b"\1" + signed(65) + b"\0"
    result = signed(-65) + b"\3" + common + b"\1" + unsigned(len(fields)) + described + b"\0\0"
    time = signed(-66) + b"\5" + b"\1\1" + text("Time") + b"\1" + signed(66) + b"\0\0\0"
    out = [message(result), message(time)]
    for one in sent:
        stamp = b"\1" + struct.pack(
            ">qih", one.start_ms // 1000 + 62_135_596_800, one.start_ms % 1000 * 1_000_000, -1
        )
        values = (
            text("peak"), unsigned(0), unsigned(one.status), text(stamp), signed(one.latency_ms * 1_000_000),
            unsigned(0), unsigned(one.size), text("connection refused" if one.failed else ""), text(b"body"),
            text("GET"), text(one.name),
        )  # fmt: skip
        body, last = b"", -1
        for place, value in enumerate(values):
            if value != b"\0":
                body += unsigned(place - last) + value
                last = place
        out.append(message(signed(65) + body + b"\0"))
    return b"".join(out)


def phout(sent: list[Sent]) -> bytes:
    rows = []
    for place, one in enumerate(sent):
        us = one.latency_ms * 1000
        net = 0 if one.status else 111
        rows.append(
            f"{one.start_ms / 1000:.3f}\t{one.name}#{place}\t{us}\t0\t0\t{us}\t0\t{us}\t120\t"
            f"{one.size}\t{net}\t"
            f"{one.status}"
        )
    return "\n".join(rows).encode() + b"\n"


def locust_request_log(sent: list[Sent]) -> bytes:
    rows = ["timestamp,request_type,name,response_time_ms,response_length,status_code,exception"]
    for one in sent:
        error = (
            ("ConnectionRefusedError(111)" if not one.status else f"HTTPError('{one.status}')")
            if one.failed
            else ""
        )
        rows.append(f"{one.start_ms / 1000},GET,{one.name},{one.latency_ms},{one.size},{one.status},{error}")
    return "\n".join(rows).encode() + b"\n"


def ghz_json(sent: list[Sent]) -> bytes:
    details = [
        {
            "timestamp": rfc3339(one.start_ms), "latency": one.latency_ms * 1_000_000,
            "error": "connection refused" if one.failed else "",
            "status": "Unavailable" if one.failed else "OK",
        }
        for one in sent
    ]  # fmt: skip
    report = {
        "count": len(sent),
        "endReason": "normal",
        "options": {"call": "shop.Basket.Add"},
        "details": details,
    }
    return json.dumps(report).encode()


def h2load_log(sent: list[Sent]) -> bytes:
    rows = [f"{one.start_ms}000\t{one.status or -1}\t{one.latency_ms * 1000}" for one in sent]
    return "\n".join(rows).encode() + b"\n"


def mapped_csv(sent: list[Sent]) -> bytes:
    rows = ["when;page;took;result"]
    for one in sent:
        moment = datetime.fromtimestamp(one.start_ms / 1000, UTC)
        took, result = f"{one.latency_ms / 1000:.3f}", "failed" if one.failed else "ok"
        rows.append(f"{moment:%d/%m/%Y %H:%M:%S.%f};{one.name};{took};{result}")
    return "\n".join(rows).encode() + b"\n"


MAPPING = """
columns: {start: when, name: page, latency: took, ok: result}
unit: s
time_format: "%d/%m/%Y %H:%M:%S.%f"
zone: UTC
"""

NAMED = (
    k6_json, k6_json_gz, k6_csv, jmeter_csv, jmeter_csv_without_header, jmeter_csv_with_semicolons,
    jmeter_csv_with_transactions, jmeter_xml, gatling_text, gatling_old_text, gatling_binary, vegeta_csv,
    vegeta_json,
    vegeta_gob, phout, locust_request_log, mapped_csv,
)  # fmt: skip
"""Formats that keep every request with its name."""

UNNAMED = (ghz_json, h2load_log)
"""Formats that keep every request, but no names."""


# ---- formats that list successful requests only


def hey_csv(sent: list[Sent]) -> bytes:
    rows = ["response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"]
    rows += [
        f"{one.latency_ms / 1000:.4f},0,0,0,{one.latency_ms / 1000:.4f},0,{one.status},"
        f"{(one.start_ms - START_MS) / 1000:.4f}"
        for one in sent
        if one.status
    ]
    return "\n".join(rows).encode() + b"\n"


def oha_csv(sent: list[Sent]) -> bytes:
    rows = ["request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status"]
    rows += [
        f"{(one.start_ms - START_MS) / 1000},0,0,0,{one.latency_ms / 1000},{one.size},{one.status}"
        for one in sent
        if one.status
    ]
    return "\n".join(rows).encode() + b"\n"


def ab_tsv(sent: list[Sent]) -> bytes:
    rows = ["starttime\tseconds\tctime\tdtime\tttime\twait"]
    rows += [
        f"Thu Nov 27 08:00:00 2025\t{one.start_ms // 1000}\t0" + f"\t{one.latency_ms}" * 3
        for one in sorted(sent, key=lambda one: one.latency_ms)
        if one.status and not one.failed
    ]
    return "\n".join(rows).encode() + b"\n"


HIDING = (hey_csv, oha_csv, ab_tsv)


# ---- summaries


def _percentile(values: list[int], p: float) -> float:
    return float(np.percentile(values, p, method="inverted_cdf"))


def k6_summary(sent: list[Sent]) -> bytes:
    times, failed = [one.latency_ms for one in sent], sum(one.failed for one in sent)
    trend = {
        "avg": float(np.mean(times)), "min": min(times), "max": max(times), "med": _percentile(times, 50),
        "p(90)": _percentile(times, 90), "p(95)": _percentile(times, 95),
    }  # fmt: skip
    metrics = {
        "http_req_duration": {"type": "trend", "contains": "time", "values": trend},
        "http_reqs": {"type": "counter", "contains": "default", "values": {"count": len(sent), "rate": 5.0}},
        "http_req_failed": {
            "type": "rate", "contains": "default",
            "values": {"rate": failed / len(sent), "passes": failed, "fails": len(sent) - failed},
        },
    }  # fmt: skip
    return json.dumps(
        {"root_group": {}, "options": {}, "state": {"testRunDurationMs": 60_000}, "metrics": metrics}
    ).encode()


def k6_summary_export(sent: list[Sent]) -> bytes:
    """The old shape: values beside the type, the rate named value, thresholds true when crossed."""
    metrics = json.loads(k6_summary(sent))["metrics"]
    flat = {name: {**metric["values"]} for name, metric in metrics.items()}
    flat["http_req_failed"]["value"] = flat["http_req_failed"].pop("rate")
    flat["http_req_duration"]["thresholds"] = {"p(95)<1": True}
    return json.dumps({"root_group": {"name": ""}, "metrics": flat}).encode()


def k6_new_summary(sent: list[Sent]) -> bytes:
    """The shape of k6 1.x: metrics as a list, and the script's source."""
    metrics = json.loads(k6_summary(sent))["metrics"]
    failed = metrics["http_req_failed"]["values"]
    metrics["http_req_failed"]["values"] = {
        "rate": failed["rate"], "matches": failed["passes"], "total": failed["passes"] + failed["fails"],
    }  # fmt: skip
    rows = [{"name": name, **metric} for name, metric in metrics.items()]
    config = {"duration": 60, "execution": "local", "script": "const password = 'hunter2'"}
    report = {
        "version": "1.0.0",
        "metadata": {"k6Version": "1.4.0"},
        "config": config,
        "results": {"checks": {}, "metrics": rows},
    }
    return json.dumps(report).encode()


def locust_stats(sent: list[Sent]) -> bytes:
    percentiles = (50, 66, 75, 80, 90, 95, 98, 99, 99.9, 99.99, 100)
    rows = [
        "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,"
        "Max Response Time,Average Content Size,Requests/s,Failures/s,"
        + ",".join(f"{p}%" for p in percentiles)
    ]
    for kind, name, chosen in (
        *(("GET", name, [one for one in sent if one.name == name]) for name in NAMES),
        ("", "Aggregated", sent),
    ):
        times = [one.latency_ms for one in chosen]
        rows.append(
            f"{kind},{name},{len(chosen)},{sum(one.failed for one in chosen)},{_percentile(times, 50)},"
            f"{np.mean(times)},"
            f"{min(times)},{max(times)},100,5,1," + ",".join(str(_percentile(times, p)) for p in percentiles)
        )
    return "\n".join(rows).encode() + b"\n"


def taurus_csv(sent: list[Sent]) -> bytes:
    rows = ["label,concurrency,throughput,succ,fail,avg_rt,perc_0.0,perc_50.0,perc_90.0,perc_95.0,perc_100.0"]
    for label, chosen in (("", sent), *((name, [one for one in sent if one.name == name]) for name in NAMES)):
        times, failed = [one.latency_ms for one in chosen], sum(one.failed for one in chosen)
        shown = ",".join(str(_percentile(times, p) / 1000) for p in (0, 50, 90, 95, 100))
        rows.append(
            f"{label},5,{len(chosen)},{len(chosen) - failed},{failed},{np.mean(times) / 1000},{shown}"
        )
    return "\n".join(rows).encode() + b"\n"


def artillery_json(sent: list[Sent]) -> bytes:
    times = [one.latency_ms for one in sent if one.status]
    summary = {
        "min": min(times), "max": max(times), "count": len(times), "mean": float(np.mean(times)),
        **{f"p{p}": _percentile(times, p) for p in (50, 75, 90, 95, 99)}, "p999": _percentile(times, 99.9),
    }  # fmt: skip
    counters: dict[str, int] = {
        "http.requests": len(sent),
        "errors.ECONNREFUSED": sum(not one.status for one in sent),
    }
    for one in sent:
        if one.status:
            key = f"http.codes.{one.status}"
            counters[key] = counters.get(key, 0) + 1
    aggregate = {"counters": counters, "summaries": {"http.response_time": summary}, "histograms": {}}
    return json.dumps({"aggregate": aggregate, "intermediate": []}).encode()


def autocannon_json(sent: list[Sent]) -> bytes:
    times = [one.latency_ms for one in sent if one.status]
    latency = {
        "average": float(np.mean(times)), "min": min(times), "max": max(times), "totalCount": len(times),
        "p50": _percentile(times, 50), "p90": _percentile(times, 90), "p97_5": _percentile(times, 97.5),
    }  # fmt: skip
    bad = sum(not 200 <= one.status < 300 for one in sent if one.status)
    report = {
        "url": "http://shop", "connections": 5, "errors": sum(not one.status for one in sent), "timeouts": 0,
        "non2xx": bad, "latency": latency, "requests": {"total": len(times)}, "throughput": {},
    }  # fmt: skip
    return json.dumps(report).encode()


SUMMARIES = (
    k6_summary, k6_summary_export, k6_new_summary, locust_stats, taurus_csv, artillery_json,
)  # fmt: skip

EVERY = (*NAMED, *UNNAMED, *HIDING, *SUMMARIES, autocannon_json)


def write(folder: Path, form: object, sent: list[Sent]) -> Path:
    """The requests as a file, whose name says nothing about its format."""
    path = folder / "results.txt"
    path.write_bytes(form(sent))  # type: ignore[operator]
    return path
