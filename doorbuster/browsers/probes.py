"""Starts the probes of a run, ends them, and collects what they recorded.

Whatever happens to a probe is stated in an event and never ends the run: without a browser, with a browser
that was killed or that hangs, the run goes on without its figures.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import psutil

from doorbuster.browsers.chromium import EXECUTABLE_VARIABLE, NAMES, find_chromium
from doorbuster.browsers.filmstrip import choose_pictures
from doorbuster.browsers.journey import JourneyStep, ProbeTask
from doorbuster.browsers.visit import PagePicture
from doorbuster.output import one_line
from doorbuster.records.browser import BrowserPage, BrowserRecords, BrowserVisit
from doorbuster.scenario import Browsers, journey_of
from doorbuster.units import format_counted

FOLDER = "browsers"  # in the folder of the run
GRACE_S = 6.0  # beyond the patience for one page, for the end of a visit
MAX_PROBLEMS = 8
CORES_FOR_A_PROBE = 2


class SentRequests(NamedTuple):
    """What all browsers of a run sent to its hosts. most_per_s: in the busiest second."""

    total: int
    most_per_s: int

    def sentence(self, reserved_per_s: float) -> str:
        """How much of safety.max_rate they used."""
        sent = format_counted(self.total, "request")
        text = (
            f"the browsers sent {sent}, at most {self.most_per_s:,} in one second; "
            f"safety.max_rate keeps {reserved_per_s:g} requests/s for them"
        )
        over = self.most_per_s > reserved_per_s
        return f"{text}: with the customers, they may have exceeded it in that second" if over else text


class BrowserProbes:
    """The probes of one run. `requests` is known when they have finished."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self.problems: list[str] = []
        self.requests: SentRequests | None = None
        self._folder = folder / FOLDER
        self._patience_s = patience_s
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}
        self._generator_cores: dict[int, list[int]] = {}

    @classmethod
    def start(
        cls,
        folder: Path,
        browsers: Browsers,
        storefront: str,
        *,
        url: str,
        addresses: Mapping[str, str],
        headers: Mapping[str, str],
        secrets: Sequence[str],
        starts_at_unix_s: float,
    ) -> BrowserProbes:
        """Start them; `problems` then says what could not be started, and where they share cores.

        Args: addresses: the hosts that may be loaded, with the address of each.
        """
        probes = cls(folder, browsers.patience_s)
        executable = find_chromium()
        if executable is None:
            named = os.environ.get(EXECUTABLE_VARIABLE)
            which = (
                f"{EXECUTABLE_VARIABLE}={named} is not a program" if named else f"none of {', '.join(NAMES)}"
            )
            way_out = f"install one, or set {EXECUTABLE_VARIABLE}"
            probes.problems.append(f"no Chromium was found ({which}); {way_out}")
            return probes
        cores = probes._divide_cores(browsers.probes)
        steps = (step.model_dump(include=_STEP_FIELDS) for step in journey_of(browsers, storefront))
        journey = tuple(JourneyStep(**step) for step in steps)
        try:
            probes._folder.mkdir(exist_ok=True)
            for number in range(1, browsers.probes + 1):
                output = probes._folder / f"probe-{number}.jsonl"
                task = ProbeTask(
                    probe=number, executable=executable, url=url, addresses=dict(addresses),
                    headers=dict(headers), secrets=tuple(secrets), journey=journey,
                    patience_s=browsers.patience_s, every_s=browsers.every_s,
                    phone=browsers.device == "phone", starts_at_unix_s=starts_at_unix_s, cores=cores,
                    output=str(output.resolve()),
                )  # fmt: skip
                probes._spawn(task, output)
        except OSError as error:
            probes.problems.append(f"a browser probe could not be started: {error.strerror or error}")
        return probes

    def ask_to_end(self) -> None:
        """Let each probe end its visit."""
        for process in self._processes.values():
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()

    def finish(self, *, complete: bool) -> BrowserRecords:
        """Wait for the visits under way, for their patience if `complete`; return everything recorded."""
        self.ask_to_end()
        until = monotonic() + GRACE_S + (self._patience_s if complete else 0.0)
        for number, (output, process) in enumerate(self._processes.items(), start=1):
            try:
                process.wait(max(0.1, until - monotonic()))
            except subprocess.TimeoutExpired:
                self.problems.append(f"probe {number} did not end its last visit in time")
            if process.returncode not in (0, None):
                self.problems.append(f"probe {number} ended with code {process.returncode}")
            self._kill(output, process)
        self._processes.clear()
        for pid, cores in self._generator_cores.items():
            with contextlib.suppress(psutil.Error, OSError):
                psutil.Process(pid).cpu_affinity(cores)
        return self._collect()

    def end_all(self) -> None:
        """End every probe at once; nothing happens if `finish` has ended them."""
        for output, process in self._processes.items():
            self._kill(output, process)
        self._processes.clear()

    def remove_files(self) -> None:
        """Remove the files of the probes, once their content is in the run file."""
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- inside

    def _spawn(self, task: ProbeTask, output: Path) -> None:
        with (self._folder / f"{output.stem}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "doorbuster.browsers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdin is not None
        self._processes[output] = process
        with contextlib.suppress(OSError):  # it has ended; `finish` states how
            process.stdin.write(f"{json.dumps(asdict(task))}\n".encode())
            process.stdin.flush()

    def _kill(self, output: Path, process: subprocess.Popen[bytes]) -> None:
        """End a probe, and its browser if the probe was killed before it could end it."""
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        for row in _rows(output):
            if "browser" in row:
                _kill_browser(int(row["browser"]), str(row["folder"]))

    def _divide_cores(self, probes: int) -> tuple[int, ...]:
        """Cores for the probes, which the load generator then leaves alone; none where they are too few."""
        if not hasattr(os, "sched_getaffinity"):
            self.problems.append("the browsers share the cores of the load generator")
            return ()
        cores = sorted(os.sched_getaffinity(0))
        own, rest = divided_cores(cores, probes)
        if not own:
            self.problems.append(
                f"the browsers share the {len(cores)} cores of this machine with the load generator; "
                f"{2 * CORES_FOR_A_PROBE * probes} would keep them apart"
            )
            return ()
        generator = psutil.Process()
        for process in (generator, *generator.children()):
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid == generator.pid or process.cmdline() == generator.cmdline():  # forked workers
                    self._generator_cores[process.pid] = process.cpu_affinity() or cores
                    process.cpu_affinity(rest)
        return tuple(own)

    def _collect(self) -> BrowserRecords:
        visits: list[BrowserVisit] = []
        pages: list[BrowserPage] = []
        pictures: dict[tuple[int, int, str], tuple[float, str]] = {}
        sent: Counter[str] = Counter()
        for path in sorted(self._folder.glob("probe-*.jsonl")):
            for row in _rows(path):
                sent.update(row.get("requests", {}))
                if "problem" in row:
                    self.problems.append(one_line(str(row["problem"]), 300))
                elif "visit" in row:
                    visit = BrowserVisit(*row["visit"])
                    visits.append(visit)
                    pages += (BrowserPage(*page) for page in row["pages"])
                    for name, picture in row["pictures"].items():
                        pictures[visit.probe, visit.visit, name] = (float(picture[0]), str(picture[1]))
        if sent:
            self.requests = SentRequests(sent.total(), max(sent.values()))
        more = len(self.problems) - MAX_PROBLEMS
        if more > 0:
            self.problems[MAX_PROBLEMS:] = [f"and {more} more problems of this kind"]

        def picture_of(page: BrowserPage) -> PagePicture | None:
            found = pictures.get((page.probe, page.visit, page.page))
            return None if found is None else PagePicture(found[0], base64.b64decode(found[1]))

        chosen = choose_pictures(visits, tuple(pages), picture_of)
        return BrowserRecords(tuple(visits), tuple(pages), chosen)


def divided_cores(cores: list[int], probes: int) -> tuple[list[int], list[int]]:
    """The cores of the probes and of the load generator, which keeps at least half; none for too few."""
    wanted = CORES_FOR_A_PROBE * probes
    return (cores[-wanted:], cores[:-wanted]) if len(cores) >= 2 * wanted else ([], cores)


_STEP_FIELDS = {"page", "open", "click", "fill", "expect"}


def _rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a probe's file; a line that was cut off by a kill is left out."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _kill_browser(pid: int, folder: str) -> None:
    """End a browser with all its processes, if this process number is still its own."""
    try:
        if any(folder in argument for argument in psutil.Process(pid).cmdline()):
            os.killpg(pid, signal.SIGKILL)
    except (psutil.Error, ProcessLookupError, PermissionError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
