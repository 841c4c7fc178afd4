"""Prometheus remote write 1.0: a protobuf message, compressed with snappy, by POST.

Source: Prometheus documentation, "Prometheus Remote-Write 1.0 specification"; prompb/types.proto for the
numbers of the fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from urllib.parse import SplitResult

from doorbuster.errors import UsageError
from doorbuster.streaming.metric import Distribution, Labels, StreamedMetric, Update
from doorbuster.streaming.outputs.http_post import HttpPost, authorization
from doorbuster.streaming.outputs.native_histogram import native_histogram
from doorbuster.streaming.outputs.prometheus_samples import families, samples
from doorbuster.streaming.outputs.protobuf import field, text, varint

_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_TYPES = {"counter": 1, "gauge": 2, "histogram": 3}  # MetricMetadata.MetricType
METADATA_EVERY = 60  # updates


class PrometheusRemoteWrite:
    """A server that accepts remote write, such as Prometheus, Mimir, VictoriaMetrics or Grafana Cloud.

    With `native`, the trends of k6 are native histograms instead of one gauge for each statistic.
    """

    def __init__(self, url: SplitResult, *, native: bool = False) -> None:
        self._native = native
        self._post = HttpPost(url, _HEADERS | authorization("prometheus"))
        self._encoder = WriteRequestEncoder()
        self._sent = 0

    def open(self) -> None:
        try:
            import cramjam  # noqa: F401
        except ImportError:
            raise UsageError(
                "the receiver prometheus needs a package for snappy: pip install 'doorbuster[stream]'"
            ) from None

    def send(self, update: Update) -> None:
        import cramjam

        with_metadata = self._sent % METADATA_EVERY == 0
        self._sent += 1
        at_ms = update.at_unix_ns // 1_000_000
        body = self._encoder.encode(
            (*update.metrics, *update.k6_metrics), at_ms=at_ms, with_metadata=with_metadata
        )
        if self._native:
            body += self._encoder.encode_native(update.k6_trends, at_ms=at_ms)
        self._post.post(bytes(cramjam.snappy.compress_raw(body)))

    def close(self) -> None:
        self._post.close()


class WriteRequestEncoder:
    """Encodes WriteRequest messages; the labels of each series are encoded once."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Labels], bytes] = {}

    def encode(self, metrics: Iterable[StreamedMetric], *, at_ms: int, with_metadata: bool) -> bytes:
        """One sample of every series at `at_ms` since 1970."""
        metrics = tuple(metrics)
        return b"".join((*self._samples(metrics, at_ms), *(_metadata(metrics) if with_metadata else ())))

    def encode_native(self, metrics: Iterable[StreamedMetric], *, at_ms: int) -> bytes:
        """One native histogram of every series of these distributions."""
        return b"".join(
            field(
                1,
                self._labels(metric.name, point.labels)
                + field(4, native_histogram(point.value, at_ms=at_ms)),
            )
            for metric in metrics
            for point in metric.points
            if isinstance(point.value, Distribution)
        )

    def _labels(self, name: str, labels: Labels) -> bytes:
        encoded = self._series.get((name, labels))
        if encoded is None:
            encoded = self._series[name, labels] = _encoded_labels(name, labels)
        return encoded

    def _samples(self, metrics: Iterable[StreamedMetric], at_ms: int) -> Iterator[bytes]:
        stamp = b"\x10" + varint(at_ms)
        for metric in metrics:
            for name, labels, value in samples(metric):
                encoded = self._labels(name, labels)
                sample = b"\x09" + struct.pack("<d", value) + stamp
                yield field(1, encoded + field(2, sample))


def _encoded_labels(name: str, labels: Labels) -> bytes:
    pairs = sorted((("__name__", name), *labels))
    return b"".join(field(1, text(1, key) + text(2, value)) for key, value in pairs)


def _metadata(metrics: Iterable[StreamedMetric]) -> Iterator[bytes]:
    for metric, kind in families(metrics):
        yield field(3, b"\x08" + varint(_TYPES[kind]) + text(2, metric.name) + text(4, metric.meaning)
                     + text(5, metric.unit))  # fmt: skip
