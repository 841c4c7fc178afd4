"""Which format a log has: by its content, never by its name."""

from __future__ import annotations

import re
from datetime import tzinfo
from pathlib import Path

from doorbuster.access_logs.formats.combined import detect_combined
from doorbuster.access_logs.formats.json_lines import detect_json
from doorbuster.access_logs.formats.load_balancers import detect_load_balancer
from doorbuster.access_logs.formats.named_fields import NamedFields
from doorbuster.access_logs.formats.stamps import StampReader, ZoneUnknownError
from doorbuster.access_logs.formats.tables import detect_table, detect_w3c
from doorbuster.access_logs.log_requests import LogFormat
from doorbuster.errors import UsageError
from doorbuster.importers.input_file import InputFile

KNOWN = (
    "Apache and nginx common and combined logs; JSON lines of nginx, Cloudflare, Fastly, Caddy, Traefik and "
    "Envoy; W3C logs of CloudFront and IIS; AWS and HAProxy load balancer logs"
)


def detect_log(
    path: Path, *, fields: NamedFields | None = None, form: str = "", zone: tzinfo | None = None,
    delimiter: str = "",
) -> LogFormat:  # fmt: skip
    """The format of a log file.

    Args: fields, form, delimiter: of the mapping file, for JSON lines and tables. zone: of times without one.
    Raises: UsageError for a file that is not an access log, or whose times have no zone.
    """
    with InputFile(path) as file:
        head = file.head
    try:
        found = _detect(head, fields, StampReader(None, form), delimiter)
        if found is not None and zone is not None:
            _refuse_idle_zone(path, head, found)
            found = _detect(head, fields, StampReader(zone, form), delimiter)
    except KeyError as error:
        raise UsageError(
            f"{path}:1: its fields do not tell what is the time and the address of a request: "
            f"{error.args[0]}; map them with --map FILE"
        ) from error
    if found is None:
        start = ascii(re.sub("[0-9]", "0", head[:60].decode("ascii", "replace")))  # no address is shown
        raise UsageError(
            f"{path}:1: not an access log that can be read; it begins with {start}. Formats: {KNOWN}. "
            "Describe the columns of another one with --map FILE"
        )
    _check_zone(path, head, found)
    return found


def _detect(
    head: bytes, fields: NamedFields | None, read_time: StampReader, delimiter: str
) -> LogFormat | None:
    if fields is not None:
        return detect_json(head, fields, read_time) or detect_table(head, fields, read_time, delimiter)
    return (
        detect_w3c(head)
        or detect_load_balancer(head, read_time)
        or detect_combined(head)
        or detect_json(head, None, read_time)
        or detect_table(head, None, read_time, delimiter)
    )


def _refuse_idle_zone(path: Path, head: bytes, found: LogFormat) -> None:
    """Raises: UsageError if every time names its zone."""
    try:
        block = found.parse(head[: head.rfind(b"\n") + 1] or head)
    except ValueError:
        return
    if len(block):
        raise UsageError(f"{path}: --zone has no effect: its times name their zone; leave it out")


def _check_zone(path: Path, head: bytes, found: LogFormat) -> None:
    """Raises: UsageError if the times name no zone."""
    for number, line in enumerate(head.split(b"\n")[:400], 1):
        try:
            found.parse(line + b"\n")
        except ZoneUnknownError as error:
            raise UsageError(
                f"{path}:{number}: the time {error.text!r} has no time zone; name it with --zone, e.g. "
                "--zone Europe/London"
            ) from error
        except ValueError as error:
            raise UsageError(f"{path}:{number}: {error}") from error
