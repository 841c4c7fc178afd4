"""The shop behind an arm of an interleaved comparison: at a URL, an embedded one, or started by a command.

Both shops stay open for the whole session: starting them for each rehearsal would measure cold caches.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from doorbuster.errors import TargetError, UsageError
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import PROFILE_NAMES, ShopSettings

START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
_POLL_S = 0.1
_URL = re.compile(r"https?://[^\s\"'<>;,)]+")


def check_target(option: str, text: str) -> None:
    """Raises: UsageError for a text that is neither a URL nor a profile nor a command of this machine."""
    if not _is_url(text) and text not in PROFILE_NAMES:
        words = _words(option, text)
        if not words or shutil.which(words[0]) is None:
            raise UsageError(
                f"{option} {text!r}: must be a URL, a profile of the embedded shop "
                f"({', '.join(PROFILE_NAMES)}), or a command that starts a shop and prints its URL"
            )


@contextmanager
def open_target(text: str, settings: ShopSettings | None, log: Path) -> Iterator[str]:
    """The URL of the shop, until the block ends.

    Args: settings: of the scenario's embedded shop, used with another profile; log: for what the shop prints.
    Raises: TargetError when it does not start.
    """
    if _is_url(text):
        yield text
    elif text in PROFILE_NAMES:
        with start_shop(replace(settings or ShopSettings(), profile=text), log) as shop:
            yield shop.url
    else:
        process = _start(text, log)
        try:
            yield _announced_url(text, process, log)
        finally:
            _stop(process)


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _words(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: cannot be read as a command: {error}") from error


def _start(text: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            shlex.split(text),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def _announced_url(text: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """The first URL that the command prints."""
    until_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until_s:
        ended = process.poll() is not None
        found = _URL.search(log.read_text(encoding="utf-8", errors="replace"))
        if ended:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            said = f": {last[0]}" if last else ""
            raise TargetError(f"{text!r} ended with code {process.returncode}{said}; its output is in {log}")
        if found:
            return found[0].rstrip("/.")
        time.sleep(_POLL_S)
    raise TargetError(f"{text!r} printed no URL within {START_LIMIT_S:.0f} s; its output is in {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the command and everything it started to end, then make them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
