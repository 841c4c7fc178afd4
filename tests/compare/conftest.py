"""Folders of recorded queues, made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded_queues import Queue, record

QUEUE = Queue(rho=0.5, requests=2000, steps=2)


@pytest.fixture(scope="session")
def builds(tmp_path_factory) -> Path:
    """Folders of four runs each: old, same (equal to old) and slow (20 % longer service)."""
    folder = tmp_path_factory.mktemp("builds")
    for place, (name, slowdown) in enumerate({"old": 1.0, "same": 1.0, "slow": 1.2}.items()):
        for number in range(4):
            record(
                replace(QUEUE, slowdown=slowdown),
                folder / name / f"run-{number}",
                seed=1000 + 100 * place + number,
                started_s=60.0 * number + place,
            )
    return folder
