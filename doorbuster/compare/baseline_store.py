"""Accepted runs, by the name of their baseline: copies in a folder that can be cached or committed.

    .doorbuster/baselines/<name>/<first 16 digits of the SHA-256 of the run file>/run.sqlite

Rules of this module:
- A copy is named by its content, so accepting a run again changes nothing.
- The original stays where it is.
- A baseline holds runs that may be compared with each other. A changed scenario starts a new one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from doorbuster.compare.comparability import RunFacts, comparability_issues
from doorbuster.errors import RecordError, UsageError
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class AcceptedRun:
    """One run of a baseline."""

    name: str
    folder: Path
    run_id: str
    title: str
    git_commit: str
    started_at_unix_ns: int


def accepted_runs(store: Path, name: str) -> tuple[AcceptedRun, ...]:
    """The runs of a baseline, the oldest first; none if there is no such baseline."""
    check_name(name)
    found = []
    for file in sorted((store / name).glob(f"*/{FILE_NAME}")):
        with Run.open(file) as run:
            meta = run.meta
        found.append(
            AcceptedRun(name, file.parent, meta.run_id, meta.title, meta.git_commit, meta.started_at_unix_ns)
        )
    return tuple(sorted(found, key=lambda run: run.started_at_unix_ns))


def baseline_names(store: Path) -> tuple[str, ...]:
    """The names of all baselines that hold a run."""
    return tuple(sorted({file.parent.parent.name for file in store.glob(f"*/*/{FILE_NAME}")}))


def accept(
    store: Path, name: str, run_files: Sequence[Path], *, replace: bool = False, despite: str = ""
) -> int:
    """Copy runs into a baseline; returns how many were not there already.

    Args: replace: whether the earlier runs are removed; despite: the reason to accept runs that must not be
        compared with the others.
    Raises: UsageError for such runs, before anything is changed; RecordError when one cannot be copied.
    """
    check_name(name)
    earlier = accepted_runs(store, name)
    facts = []
    for file in run_files:
        with Run.open(file) as run:
            facts.append(RunFacts.of(run, file.parent.name))
    if not despite:
        _check_comparable(name, facts, () if replace else earlier)
    known = {one.run_id for one in earlier}
    if replace:
        for one in earlier:
            shutil.rmtree(one.folder)
        known = set()
    new = {of.meta.run_id: file for file, of in zip(run_files, facts, strict=True)}
    for run_id in new.keys() - known:
        _copy(store / name, new[run_id])
    return len(new.keys() - known)


def remove(store: Path, name: str, run: str = "") -> int:
    """Remove a baseline, or one of its runs by the start of its folder's name or run id.

    Returns: the number of runs removed. Raises: UsageError when there is nothing of that name.
    """
    found = accepted_runs(store, name)
    chosen = [one for one in found if one.folder.name.startswith(run) or one.run_id.startswith(run)]
    if not chosen:
        known = ", ".join(baseline_names(store)) or "none"
        what = f"no run {run!r}" if found else "no runs"
        raise UsageError(f"{store}: the baseline {name} has {what}; the baselines are: {known}")
    if run and len(chosen) > 1:
        raise UsageError(f"{store}: {len(chosen)} runs of the baseline {name} begin with {run!r}")
    for one in chosen:
        shutil.rmtree(one.folder)
    if not any((store / name).iterdir()):
        (store / name).rmdir()
    return len(chosen)


def keep_newest(store: Path, name: str, keep: int) -> int:
    """Remove all but the newest runs of a baseline; returns how many."""
    old = accepted_runs(store, name)[:-keep]
    for one in old:
        shutil.rmtree(one.folder)
    return len(old)


def check_name(name: str) -> None:
    """Raises: UsageError for a name that is not a plain folder name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the name of a baseline must consist of letters, digits, '.', '_' and '-' (got {name!r})"
        )


def _check_comparable(name: str, facts: Sequence[RunFacts], earlier: Sequence[AcceptedRun]) -> None:
    """Refuse runs that show nothing, or that differ from the newest earlier run or the first new one."""
    first = facts[0]
    if earlier:
        with Run.open(earlier[-1].folder) as run:
            first = RunFacts.of(run, earlier[-1].folder.name)
    issues = [issue.sentence for one in facts for issue in one.validity if issue.blocking]
    if not issues:
        pairs = (comparability_issues([first], [one]) for one in facts if one is not first)
        issues = [issue.sentence for found in pairs for issue in found if issue.blocking]
    if issues:
        raise UsageError(
            f"not accepted into the baseline {name}: {'; '.join(issues)}. "
            "If it must be, give the reason with --despite; if the scenario or the machine changed, start "
            "again with --replace"
        )


def _copy(folder: Path, run_file: Path) -> None:
    """A consistent copy, also of a file with a write-ahead log; moved into place in one step."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as draft:
            copy = Path(draft) / FILE_NAME
            source, target = (
                sqlite3.connect(f"{run_file.resolve().as_uri()}?mode=ro", uri=True),
                sqlite3.connect(copy),
            )
            try:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
            finally:
                source.close()
                target.close()
            digest = hashlib.sha256(copy.read_bytes()).hexdigest()[:_DIGITS]
            place = folder / digest
            if not place.exists():
                place.mkdir()
                copy.replace(place / FILE_NAME)
    except (OSError, sqlite3.Error) as error:
        raise RecordError(
            f"{folder}: cannot copy the run: {error}; name another folder with --store"
        ) from error
