"""A wrong command line is refused before anything is made."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import click
import pytest

from doorbuster.cli import VERBS
from doorbuster.cli import doorbuster as doorbuster_group
from doorbuster.cli.options import Number
from doorbuster.records.hdr_reading import read_hlog
from doorbuster.records.reader import Run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--workers", "2", "--expect-workers", "2"), "--workers (this machine) and --expect-workers"),
        (("--locustfile", "nope.py"), "locustfile 'nope.py' not found; give a path"),
        (("--locustfile", "peak.yaml"), "peak.yaml is not a locustfile; give a path ending in .py"),
    ],
)
def test_a_run_that_cannot_start_leaves_no_folder(words, said, doorbuster, tmp_path):
    (tmp_path / "peak.yaml").touch()
    ended = doorbuster("run", "smoke", *words, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(said)
    assert not (tmp_path / "reports").exists()


def test_a_used_port_for_workers_is_reported_before_anything_is_created(doorbuster, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = doorbuster("run", "smoke", "--expect-workers", "1", "--bind-port", port, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"cannot open port {port} on 127.0.0.1 (Address already in use")
    assert not (tmp_path / "reports").exists()


TEXTS = """
title: "Half price [/b] [50 %]"
story: "[/] see [docs]"
target: {shop: {profile: replatformed}}
demand: {peak: 5 customers/s, curve: {stages: [{for: 10s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}}}
"""


def test_brackets_in_a_title_are_shown_as_they_are(doorbuster, tmp_path):
    (tmp_path / "peak.yaml").write_text(TEXTS, encoding="utf-8")
    ended = doorbuster("check", "peak.yaml", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[:2] == ["Half price [/b] [50 %]", "[/] see [docs]"]


def test_a_terminal_without_the_signs_shows_words(root):
    ended = subprocess.run(
        [sys.executable, "-m", "doorbuster", "check", "smoke"], cwd=root, capture_output=True, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert b"customers" in ended.stdout


def test_a_run_is_exported_for_the_tools_of_hdrhistogram(doorbuster, root, tmp_path):
    ended = doorbuster("export", root / "reports" / "sample", "--out", tmp_path / "sample.hlog")
    assert ended.returncode == 0, ended.stderr
    intervals = list(read_hlog((tmp_path / "sample.hlog").read_text(encoding="utf-8").splitlines()))
    assert ended.stdout == (
        f"{tmp_path / 'sample.hlog'}: response times of 1,590 requests in {len(intervals)} lines, one for "
        "each second and tag (channel, journey, step and result)\n"
    )
    with Run.open(root / "reports" / "sample") as run:
        assert sum(interval.content.counts.sum() for interval in intervals) == run.histogram("response").n


@pytest.mark.parametrize("text", ["nan", "-nan", "inf", "-inf", "1e999"])
def test_an_option_for_a_number_takes_no_number_that_is_none(text):
    parse = Number(min=0.2)
    with pytest.raises(click.BadParameter):
        parse.convert(text, None, None)


def test_every_option_for_a_number_of_its_own_range_is_such_a_number():
    kinds = {type(parameter.type) for name in VERBS for parameter in parameters(name)}
    assert not {kind for kind in kinds if issubclass(kind, click.types.FloatParamType)} - {Number}


def parameters(name: str) -> list[click.Parameter]:
    """The parameters of a verb and of its subcommands."""
    command = doorbuster_group.get_command(click.Context(doorbuster_group), name)
    parts = command.commands.values() if isinstance(command, click.Group) else ()
    return [parameter for one in (command, *parts) for parameter in one.params]
