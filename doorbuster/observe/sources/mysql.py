"""Reads the status counters of MySQL or MariaDB: connections, running threads, row locks, queries.

Source: MySQL Reference Manual, "Server Status Variables".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from doorbuster.observe.sample import SourceError, TargetSample, counter, gauge

TIMEOUT_S = 5
_COUNTERS = ("Questions", "Slow_queries", "Aborted_connects", "Innodb_row_lock_waits", "Innodb_data_reads")
_GAUGES = ("Threads_connected", "Threads_running", "Innodb_row_lock_current_waits")


class MysqlSource:
    """One server, named by a URL: mysql://user:password@host:port/database."""

    def __init__(self, *, name: str, dsn: str, **_: Any) -> None:
        try:
            import pymysql
        except ImportError:
            raise SourceError("MySQL needs a library: pip install 'doorbuster[databases]'") from None
        self._library: Any = pymysql
        self._name = name
        self._url = urlsplit(dsn)
        if self._url.scheme not in ("mysql", "mariadb") or not self._url.hostname:
            raise SourceError("its address must be mysql://user:password@host:port/database")
        self._connection: Any = None

    def read(self) -> Iterator[TargetSample]:
        try:
            if self._connection is None:
                url = self._url
                self._connection = self._library.connect(
                    host=url.hostname,
                    port=url.port or 3306,
                    user=unquote(url.username or ""),
                    password=unquote(url.password or ""),
                    database=url.path.strip("/") or None,
                    connect_timeout=TIMEOUT_S,
                    read_timeout=TIMEOUT_S,
                    autocommit=True,
                )
            found = list(self._values())
        except self._library.Error as error:
            self.close()
            raise SourceError(str(error)) from None
        yield from found

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _values(self) -> Iterator[TargetSample]:
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS")
            status = dict(cursor.fetchall())
            cursor.execute("SHOW GLOBAL VARIABLES LIKE 'max_connections'")
            limit = float(dict(cursor.fetchall())["max_connections"])
        for name in _GAUGES:
            yield gauge(name.lower(), float(status.get(name, 0)))
        for name in _COUNTERS:
            yield counter(f"{name.lower()}_total", float(status.get(name, 0)))
        connected = float(status.get("Threads_connected", 0))
        yield gauge("utilisation", connected / limit, resource=f"connections of {self._name}")
        waits = float(status.get("Innodb_row_lock_current_waits", 0))
        yield gauge("saturation", waits, resource=f"row locks of {self._name}")
        refused = float(status.get("Connection_errors_max_connections", 0))
        yield counter("errors", refused, resource=f"connections of {self._name}")
