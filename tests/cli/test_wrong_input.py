"""Wrong arguments: one sentence that names the option and the way out, before any work is done."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster
from doorbuster.errors import DoorbusterError, ExitCode

SAMPLE = str(Path(__file__).parents[2] / "reports" / "sample")


def message(args: list[str]) -> str:
    """What the command says in place of doing anything."""
    done = CliRunner().invoke(doorbuster, args, standalone_mode=False)
    error = done.exception
    assert isinstance(error, DoorbusterError | click.ClickException), done.output
    assert isinstance(error, click.ClickException) or error.exit_code == ExitCode.USAGE
    return error.format_message() if isinstance(error, click.ClickException) else str(error)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("check smoke --seed abc", "'abc' is not a valid whole number."),
        ("run smoke --spawn-rate fast", "'fast' is not a valid number."),
        ("run smoke --bind 10.0.0.5", "--bind has no effect without --expect-workers N"),
        ("run smoke --bind-port 6000", "--bind-port has no effect without --expect-workers N"),
        (
            "probe http://127.0.0.1:9 --profile replatformed",
            "--profile has no effect on the shop at URL; leave it out",
        ),
        ("probe --confirm-host a.example", "--confirm-host has no effect without URL or --scenario"),
        ("shop --reuse", "--reuse has no effect on a temporary folder: add --folder DIR"),
        ("compare a b --confirm-host a.example", "--confirm-host needs --run SCENARIO"),
        (f"report {SAMPLE} --live 8090", "--live has no effect without --replay"),
        (
            "history prune --before yesterday",
            "Invalid value for '--before': 'yesterday' is not a day; write it as 2026-11-27",
        ),
        ("history export --window 9", "No such option '--window'."),
        (
            "scale one=reports/a two=reports/b",
            "one=reports/a was not created by `doorbuster capacity`; SIZE must be a number, such as 4",
        ),
        ("upload docs file:///tmp/x", "docs is not a run folder; name the run first, then the destination"),
    ],
)
def test_the_message_names_the_option_and_the_way_out(line, says):
    assert message(line.split()).endswith(says)


@pytest.mark.parametrize("option", ["--growth", "--campaign"])
def test_a_growth_without_a_percent_sign_is_not_taken_for_five_hundred_percent(option, tmp_path):
    (tmp_path / "orders.csv").write_text("date,orders\n2026-01-01,5\n")
    value = "TV=5" if option == "--campaign" else "5"
    said = message(["demand", "forecast", str(tmp_path / "orders.csv"), option, value])
    assert said == f"{option} 5: must be in percent; write 5% or 500%"


def test_a_report_is_refused_before_the_run_is_analysed_if_its_folder_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert message(["report", SAMPLE, "--out", str(tmp_path / "file")]) == (
        f"{tmp_path / 'file'}: cannot write the report: File exists; name another folder"
    )


def test_the_list_of_subcommands_shows_whole_sentences():
    shown = " ".join(CliRunner().invoke(doorbuster, ["baseline", "--help"]).output.split())
    assert "Remove the baseline NAME, or only its RUN (the start of its folder's name or run id)." in shown
