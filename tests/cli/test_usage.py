"""A wrong command line is refused before anything is made."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--workers", "2", "--expect-workers", "2"), "use just one of --workers"),
        (("--locustfile", "nope.py"), "there is no locustfile 'nope.py'; name a path"),
        (("--locustfile", "peak.yaml"), "peak.yaml is no locustfile; name a Python file, which ends in .py"),
    ],
)
def test_a_run_that_cannot_start_leaves_no_folder(words, said, doorbuster, tmp_path):
    (tmp_path / "peak.yaml").touch()
    ended = doorbuster("run", "smoke", *words, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(said)
    assert not (tmp_path / "reports").exists()
