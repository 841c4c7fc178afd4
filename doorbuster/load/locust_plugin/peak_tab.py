"""The tab "Peak" of Locust's web UI: the live page of the run, and its report afterwards.

Rules of this module
- Only Flask's routes and hooks are used, so that it outlives changes of Locust's own page.
- The state is computed and the report is written by processes of their own at low priority: this process may
  generate the load. A browser costs it the sending of one text a second, however slow the browser is.
- A browser that does not read is left after `SEND_LIMIT_S`, so that it keeps neither memory nor the place of
  another one.
"""

from __future__ import annotations

import errno
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import flask
import gevent
from gevent.subprocess import PIPE, Popen

from doorbuster.live.broadcast import Broadcast
from doorbuster.live.page_files import PAGE_FILES, REPORT_POLICY, headers, page_file
from doorbuster.live.snapshot import Snapshot

logger = logging.getLogger("doorbuster")

MAX_READERS = 16
BEAT_S = 5.0
SEND_LIMIT_S = 10.0  # for a browser that does not read
PART_BYTES = 2**16  # of a report, sent within the limit
NOT_STARTED = "There is no run yet. Start one on Locust's page."
_LINKS = """<nav aria-label="Pages" style="display:flex;flex-wrap:wrap;gap:.25rem;align-items:baseline;
padding:.3rem 1rem 0;background:#fbfbf9;color:#1c1f23;font:15px system-ui,sans-serif">
<a href="./" aria-current="page" style="padding:.4rem .9rem;color:inherit;text-decoration:none;
border-bottom:3px solid #009e73;font-weight:600">Locust</a>
<a href="./peak/" style="padding:.4rem .9rem;color:#0067a5;text-decoration:none">Peak</a>
<span style="padding:.4rem .9rem;color:#5b6169">%s</span></nav>"""


class PeakTab:
    """The tab of one Locust process; `begin` shows another run."""

    def __init__(self, web_ui: Any, *, base_path: str, title: str, hint: str) -> None:
        """Args: hint: a sentence beside the tabs on Locust's page."""
        self._links = _LINKS % escape(hint)
        self._base = base_path.rstrip("/")
        self._broadcast = Broadcast()
        self._report: Path | None = None
        self._folder: Path | None = None  # of the run that is shown
        self._readers = 0
        self._publish(Snapshot(title, message=NOT_STARTED))
        guarded = web_ui.auth_required_if_enabled
        for path, view in {
            "": self._file,
            "<name>": self._file,
            "events": self._events,
            "report": self._send_report,
        }.items():
            web_ui.app.add_url_rule(f"{self._base}/peak/{path}", f"peak_{path}", guarded(view))
        web_ui.app.add_url_rule(f"{self._base}/peak", "peak", lambda: flask.redirect(f"{self._base}/peak/"))
        web_ui.app.after_request(self._add_links)

    def begin(self, folder: Path, title: str) -> None:
        """Show the run that is recorded into a folder."""
        self._report, self._folder = None, folder
        self._publish(Snapshot(title))
        gevent.spawn(self._follow, folder)

    # ---- the run

    def _publish(self, snapshot: Snapshot) -> None:
        self._broadcast.publish(snapshot.to_json())

    def _follow(self, folder: Path) -> None:
        text = ""
        with Popen(
            [sys.executable, "-m", "doorbuster.live.stream", str(folder)], stdout=PIPE, text=True
        ) as process:
            for line in process.stdout:
                text = line.rstrip("\n")
                self._broadcast.publish(text)
        if not text or self._folder != folder:  # another run has begun
            return
        last = json.loads(text)
        self._broadcast.publish(json.dumps(last | {"step": "report"}))
        command = ["nice", sys.executable, "-m", "doorbuster", "report", str(folder)]
        with Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            process.wait()
        if self._folder != folder:
            return
        report = folder / "index.html"
        found = {"step": "done", "has_report": report.is_file(), "verdict": _verdict(folder)}
        if report.is_file():
            self._report = report
        else:
            found["message"] = f"The report could not be written. Try: doorbuster report {folder}"
        self._broadcast.publish(json.dumps(last | found))

    # ---- answers to browsers

    def _file(self, name: str = "") -> Any:
        found = page_file(name) if name in PAGE_FILES else None
        if found is None:
            return flask.Response("there is no such page", status=404, content_type="text/plain")
        return flask.Response(found.content, headers=found.headers)

    def _events(self) -> Any:
        return self._sent(self._stream(), headers("text/event-stream", "default-src 'none'"))

    def _stream(self) -> Iterator[bytes]:
        number = 0
        while True:
            found = self._broadcast.after(number, timeout_s=BEAT_S)
            if found is None:
                yield b": still here\n\n"
            else:
                number = found.number
                yield f"data: {found.text}\n\n".encode()

    def _sent(self, parts: Iterator[bytes], answer_headers: Mapping[str, str]) -> flask.Response:
        """The answer of these parts, to as many browsers at once as there is room for."""
        if self._readers >= MAX_READERS:
            return flask.Response("too many browsers show this page", status=503, content_type="text/plain")
        return flask.Response(self._within_limit(parts), headers=answer_headers)

    def _within_limit(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """The parts; a browser that does not take one in time is treated as gone."""
        self._readers += 1
        try:
            for part in parts:
                with gevent.Timeout(SEND_LIMIT_S, BrokenPipeError(errno.EPIPE, "the browser does not read")):
                    yield part
        finally:
            self._readers -= 1

    def _send_report(self) -> Any:
        if self._report is None:
            return flask.Response("there is no report yet", status=404, content_type="text/plain")
        size = {"Content-Length": str(self._report.stat().st_size)}
        return self._sent(_parts(self._report), headers("text/html", REPORT_POLICY) | size)

    def _add_links(self, answer: flask.Response) -> flask.Response:
        """The two tabs above Locust's own page."""
        if (
            flask.request.path == f"{self._base}/"
            and answer.mimetype == "text/html"
            and not answer.direct_passthrough
        ):
            answer.set_data(answer.get_data(as_text=True).replace("<body>", f"<body>{self._links}", 1))
        return answer


def _parts(path: Path) -> Iterator[bytes]:
    """The content of a file, in parts."""
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


def _verdict(folder: Path) -> dict[str, Any] | None:
    """The verdict as the report has written it."""
    try:
        found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["verdict"]
        return {
            "state": found["status"],
            "sentence": found["sentence"],
            "reasons": found["reasons"],
            "folder": str(folder),
        }
    except (OSError, ValueError, LookupError, TypeError):
        return None
