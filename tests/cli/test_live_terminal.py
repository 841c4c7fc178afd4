"""`doorbuster run` in a real pseudo-terminal, read by a terminal in memory."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.alone, pytest.mark.truth]

SCENARIO = """
title: A shop that is stopped
target: {storefront: reference, shop: {profile: replatformed}}
demand: {peak: 8 customers/s, curve: {stages: [{for: 60s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 60, buy: 40}, patience: none}}
thresholds: {can_order: ["rate>=95%"]}
"""


class Terminal:
    """A command in a terminal of some size; `seen` holds every screen, after each piece of output."""

    def __init__(self, words: list[str], *, columns: int, rows: int, cwd: Path, **environ: str) -> None:
        import pyte

        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "doorbuster", *words], stdin=side, stdout=side, stderr=side, cwd=cwd,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", **environ},
        )  # fmt: skip
        os.close(side)
        self.raw = b""

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, words: str, *, limit_s: float = 90.0) -> str:
        """The screen once these words are on it."""
        give_up_at = time.monotonic() + limit_s
        while words not in self.text:
            assert time.monotonic() < give_up_at, self.text
            self._read()
        return self.text

    def press(self, keys: bytes) -> None:
        os.write(self._main, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        os.close(self._main)
        return self.process.wait(30)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._main], [], [], 1.0)
        try:
            found = os.read(self._main, 65536) if ready else b""
        except OSError:  # the other side is closed
            return False
        self.raw += found
        self._stream.feed(found)
        return bool(found) or self.process.poll() is None


@pytest.mark.parametrize(("columns", "rows", "key"), [(80, 24, b"q"), (60, 24, b"\x03"), (200, 50, b"q")])
def test_a_key_ends_the_run_and_the_screen_says_so_at_once(tmp_path, columns, rows, key):
    (tmp_path / "stopped.yaml").write_text(SCENARIO, encoding="utf-8")
    words = ["run", "stopped.yaml", "--out", "run"]
    terminal = Terminal(words, columns=columns, rows=rows, cwd=tmp_path)
    terminal.until("starting the load generator")
    running = terminal.until("generator healthy")
    assert "peak, " in running
    assert "thresholds" in running
    assert "channels" in running
    terminal.until("6 s of 1m")
    terminal.press(key)
    pressed_at = time.monotonic()
    stopping = " ".join(terminal.until("stopping: ").split())
    assert time.monotonic() - pressed_at < 3
    assert "sent home; press Ctrl-C again to end now" in stopping
    terminal.until("sent home ")
    assert terminal.end() == 105
    final = terminal.text
    assert "INTERRUPTED" in final
    assert "dropped" not in final
    assert all(len(line) <= columns for line in final.splitlines())
    usual = (tmp_path / "run" / "run.sqlite").stat().st_size
    assert usual > 0


def test_a_dumb_terminal_gets_lines_and_no_control_sequences(tmp_path):
    (tmp_path / "stopped.yaml").write_text(SCENARIO.replace("60s", "12s"), encoding="utf-8")
    words = ["run", "stopped.yaml", "--out", "run"]
    terminal = Terminal(words, columns=80, rows=24, cwd=tmp_path, TERM="dumb", NO_COLOR="1")
    assert terminal.end() in (0, 96)
    assert b"\x1b" not in terminal.raw
    assert b"% peak, " in terminal.raw
    assert "writing the report …".encode() in terminal.raw
