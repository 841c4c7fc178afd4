"""How the verdict of a run leaves its machine: termination message, marked summary, upload."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.output import say, say_lines
from doorbuster.output.termination_message import write_termination_message

if TYPE_CHECKING:
    from doorbuster.gate import Verdict
    from doorbuster.upload import UploadTarget

MARK = "-----"


def announce_verdict(verdict: Verdict) -> None:
    """Write the sentence and its reasons as the termination message of the container, if there is one."""
    if why := write_termination_message("\n".join([verdict.sentence, *verdict.reasons])):
        say(why, error=True)


def announce_failure(text: str) -> None:
    """Print why there is no verdict, and write it as the termination message."""
    say_lines(text, error=True)
    if why := write_termination_message(text):
        say(why, error=True)


def marked_summary(folder: Path) -> str:
    """summary.md between two lines with its checksum, which no text of the summary can imitate."""
    text = (folder / "summary.md").read_text(encoding="utf-8").rstrip("\n")
    digest = hashlib.sha256(f"{text}\n".encode()).hexdigest()
    first, last = (f"{MARK} {word} doorbuster summary sha256:{digest} {MARK}" for word in ("BEGIN", "END"))
    return f"{first}\n{text}\n{last}"


def upload_results(folder: Path, destination: UploadTarget | None) -> int:
    """Send the files of the run; returns the exit code of the upload, 0 also without a destination."""
    from doorbuster.cli.progress import each
    from doorbuster.errors import UploadError
    from doorbuster.upload import upload_run

    if destination is None:
        return 0
    try:
        count = upload_run(folder, destination, say=lambda text: say(text, error=True), track=each)
    except UploadError as error:
        say_lines(str(error), error=True)
        return int(error.exit_code)
    say(f"uploaded {count} files to {destination.shown}")
    return 0
