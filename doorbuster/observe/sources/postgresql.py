"""Reads PostgreSQL's statistics views: connections, waiting sessions, transactions, the longest transaction.

The user needs no rights beyond connecting; with the role pg_monitor it also sees the sessions of others.
Source: PostgreSQL documentation, "The Cumulative Statistics System".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from doorbuster.observe.sample import SourceError, TargetSample, counter, gauge

TIMEOUT_S = 5
_SESSIONS = """
SELECT coalesce(state, 'background'), coalesce(wait_event_type, ''), count(*),
  coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2
"""
_DATABASES = """
SELECT sum(xact_commit), sum(xact_rollback), sum(blks_read), sum(blks_hit), sum(deadlocks), sum(temp_bytes)
FROM pg_stat_database
"""
_TOTALS = ("commits", "rollbacks", "blocks_read", "blocks_hit", "deadlocks", "temporary_bytes")


class PostgresqlSource:
    """One server; reads over one connection, which it opens again when it is lost."""

    def __init__(self, *, name: str, dsn: str, **_: Any) -> None:
        try:
            import psycopg
            import psycopg.conninfo
        except ImportError:
            raise SourceError("PostgreSQL needs a library: pip install 'doorbuster[databases]'") from None
        try:
            psycopg.conninfo.conninfo_to_dict(dsn)
        except psycopg.Error:  # its message would quote the address
            raise SourceError("its address must be postgresql://user:password@host:port/database") from None
        is_url = dsn.startswith(("postgresql://", "postgres://"))
        credentials = dsn.partition("://")[2].partition("?")[0].rpartition("@")[0] if is_url else ""
        if "@" in credentials or "/" in credentials:  # messages would quote its end as the host
            raise SourceError("its address has a password with @ or /, which must be written as %40 and %2F")
        self._library: Any = psycopg
        self._name, self._dsn = name, dsn
        self._connection: Any = None

    def read(self) -> Iterator[TargetSample]:
        try:
            if self._connection is None:
                self._connection = self._library.connect(
                    self._dsn, autocommit=True, connect_timeout=TIMEOUT_S, application_name="doorbuster",
                    options=f"-c statement_timeout={TIMEOUT_S}s",
                )  # fmt: skip
            found = list(self._values())
        except self._library.Error as error:
            self.close()
            raise SourceError(str(error).strip().splitlines()[0] if str(error) else "no connection") from None
        yield from found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _values(self) -> Iterator[TargetSample]:
        run = self._connection.execute
        ((limit,),) = run("SELECT setting::int FROM pg_settings WHERE name = 'max_connections'").fetchall()
        sessions = run(_SESSIONS).fetchall()
        in_use = sum(n for _, _, n, _ in sessions) + 1
        by_state: dict[str, int] = {}
        for state, _, n, _ in sessions:
            by_state[state] = by_state.get(state, 0) + n
        for state in ("active", "idle", "idle in transaction"):
            yield gauge("connections", by_state.get(state, 0), state=state)
        waiting = sum(n for state, wait, n, _ in sessions if state == "active" and wait == "Lock")
        yield gauge("lock_waiting", waiting)
        yield gauge("longest_transaction_seconds", max((float(age) for *_, age in sessions), default=0.0))
        yield gauge("utilisation", in_use / limit, resource=f"connections of {self._name}")
        yield gauge("saturation", waiting, resource=f"locks of {self._name}")
        (totals,) = run(_DATABASES).fetchall()
        for name, value in zip(_TOTALS, totals, strict=True):
            yield counter(f"{name}_total", float(value or 0))
        yield counter("errors", float(totals[4] or 0), resource=f"locks of {self._name}")
