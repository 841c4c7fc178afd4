"""Shell completion, in the shells themselves; zsh and fish only where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.cli import VERBS
from doorbuster.cli import doorbuster as program

ROOT = Path(__file__).parents[2]
ASK = {  # the shell's own way to ask for the completions of a command line, its last word unfinished
    "bash": """
        compopt() { :; }  # only allowed while the shell itself completes
        eval "$(doorbuster completion bash)"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _doorbuster_completion doorbuster
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        compdef() { :; }
        _path_files() { :; }
        _describe() { print -l -- ${(P)3}; }
        compadd() { print -l -- ${(P)5}; }
        eval "$(doorbuster completion zsh)"
        words=("$@"); CURRENT=$#
        _doorbuster_completion doorbuster
    """,
    "fish": "doorbuster completion fish | source; complete -C (string join -- ' ' $argv)",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """A `doorbuster` of this source on the path."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "doorbuster"
    lines = ["import sys", "from doorbuster.cli import main", "sys.argv[0] = 'doorbuster'", "main()"]
    script.write_text("\n".join([f"#!{sys.executable}", *lines, ""]))
    script.chmod(0o755)
    path, home = f"{folder}:{os.environ['PATH']}", str(tmp_path_factory.mktemp("home"))
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": home}


def complete(shell: str, environment: dict[str, str], *words: str) -> set[str]:
    """The completions of the last word, without descriptions."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = [shell, "-c", ASK[shell], *([] if shell == "fish" else [shell]), *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return {line.split("\t")[0].split(":")[0].strip() for line in done.stdout.splitlines() if line.strip()}


@pytest.mark.parametrize("shell", ASK)
def test_a_shell_completes_commands_options_and_scenario_names(shell, environment):
    assert complete(shell, environment, "doorbuster", "ga") == {"gate"}
    assert "ms-christmas-2004" in complete(shell, environment, "doorbuster", "run", "ms-")
    assert "--profile" in complete(shell, environment, "doorbuster", "run", "smoke", "--pro")


def test_bash_completes_runs_sections_and_choices(environment):
    assert complete("bash", environment, "doorbuster", "gate", "reports/sa") == {"reports/sample"}
    assert complete("bash", environment, "doorbuster", "analyse", "x", "--section", "lat") == {"latency"}
    assert complete("bash", environment, "doorbuster", "completion", "") == {"bash", "fish", "zsh"}
    assert complete("bash", environment, "doorbuster", "") == set(VERBS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_without_starting_the_shell(shell, monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(program, ["completion", shell])
    assert done.exit_code == 0
    assert "_DOORBUSTER_COMPLETE" in done.output


def test_an_unknown_shell_is_refused():
    done = CliRunner().invoke(program, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "bash" in done.output
