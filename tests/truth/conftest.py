"""Starts truth servers as processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def truth_server() -> Iterator[Callable[..., str]]:
    """A function from command-line words to the URL of a running truth server."""
    running = []

    def start(*words: object) -> str:
        program = Path(__file__).parent / "server.py"
        command = [sys.executable, str(program), "--json-announce", "--die-with-parent", *map(str, words)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return json.loads(process.stdout.readline())["url"]

    yield start
    for process in running:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()
