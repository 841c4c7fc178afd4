"""`check` refuses a threshold on a section for which there is no analysis script."""

from __future__ import annotations

import subprocess
import sys


def check(folder, thresholds):
    path = folder / "x.yaml"
    path.write_text(
        "title: t\ntarget: {shop: {profile: replatformed}}\n"
        "demand: {peak: 10 customers/s, curve: {stages: [{for: 10s, at: 100%}]}}\n"
        "channels: {web: {share: 100%, journeys: {browse: 1}}}\n"
        f"thresholds: {thresholds}\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "doorbuster", "check", "x.yaml"], capture_output=True, text=True, cwd=folder
    )


def test_a_threshold_on_an_unknown_section_is_a_fault_at_its_place(tmp_path):
    done = check(tmp_path, '{my_question.ratio: ["value>=90%"]}')
    assert done.returncode == 104
    assert done.stderr.startswith(
        "x.yaml:5:34: thresholds.my_question.ratio names a section that does not exist"
    )


def test_a_section_of_ones_own_makes_it_known(tmp_path):
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "my_question.py").write_text("def analyse(run): ...\n")
    done = check(tmp_path, '{my_question.ratio: ["value>=90%"]}')
    assert done.returncode == 0, done.stderr
    assert "my_question.ratio: value>=90%" in done.stdout
