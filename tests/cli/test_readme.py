"""What the README tells people to type works as it says."""

from __future__ import annotations

import re
import shlex

import pytest

EXIT_CODES = {"gate": 99}  # the sample is the peak that failed; everything else ends well


def tour(root) -> list[list[str]]:
    """The commands of the section "The tour", as words."""
    section = (root / "README.md").read_text(encoding="utf-8").split("## The tour", 1)[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def test_the_tour_names_the_verbs_it_promises(root):
    assert [words[1] for words in tour(root)] == ["check", "run", "analyse", "report", "gate", "init"]


@pytest.mark.parametrize("verb", ["check", "analyse", "report", "gate", "init"])
def test_a_command_of_the_tour_does_what_it_says(doorbuster, root, tmp_path, verb):
    (tmp_path / "reports").symlink_to(root / "reports")
    (words,) = [words for words in tour(root) if words[1] == verb]
    done = doorbuster(*words[1:], cwd=tmp_path)
    assert done.returncode == EXIT_CODES.get(verb, 0), done.stdout + done.stderr
    made = {"report": "r/index.html", "init": "my-shop/scenarios/smoke.yaml"}
    if verb in made:
        assert (tmp_path / made[verb]).is_file()
