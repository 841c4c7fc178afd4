"""Reads the status counters of MySQL or MariaDB: connections, running threads, row locks, queries.

Source: MySQL Reference Manual, "Server Status Variables".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from doorbuster.observe.sample import SourceError, TargetSample, counter, gauge

TIMEOUT_S = 5
PORT = 3306
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
        self._settings = connection_settings(dsn)
        self._connection: Any = None

    def read(self) -> Iterator[TargetSample]:
        try:
            if self._connection is None:
                self._connection = self._library.connect(**self._settings)
            found = list(self._values())
        except (self._library.Error, OSError) as error:
            self.close()
            raise SourceError(str(error.args[-1]) if error.args else type(error).__name__) from None
        yield from found

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(self._library.Error, OSError):  # the server may be gone
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


def connection_settings(dsn: str) -> dict[str, Any]:
    """The arguments of `pymysql.connect`. Raises: SourceError, without a word of the address."""
    try:
        url = urlsplit(dsn)
        port, host = url.port or PORT, url.hostname
    except ValueError:  # the password has a / or #, which must be written as %2F and %23
        host = None
    if host is None or url.scheme not in ("mysql", "mariadb"):
        raise SourceError(
            "its address must be mysql://user:password@host:port/database, with other signs of the password "
            "than letters and digits as %2F"
        )
    return {
        "host": host,
        "port": port,
        "user": unquote(url.username or ""),
        "password": unquote_to_bytes(url.password or ""),  # the library would allow Latin-1 only
        "database": url.path.strip("/") or None,
        "charset": "utf8mb4",
        "connect_timeout": TIMEOUT_S,
        "read_timeout": TIMEOUT_S,
        "write_timeout": TIMEOUT_S,
        "autocommit": True,
    }
