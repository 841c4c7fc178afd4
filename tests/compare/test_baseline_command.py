"""`doorbuster baseline` and `gate --baseline`: from accepted runs to a verdict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program
from doorbuster.errors import UsageError

RELATIVE = """\
title: Release
target: {storefront: reference, shop: {profile: in-house-2004}}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 90s, at: 100%}]}
channels:
  web: {share: 70%, journeys: {browse: 50, buy: 50}, patience: desktop}
  store: {share: 30%, journeys: {pos_sale: 1}, patience: none}
thresholds:
  http_req_duration: ["med<baseline*1.2"]
"""


def call(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(program, list(map(str, words)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output


@pytest.fixture
def run_of(build_peak):
    """The folder of a run with this seed; every run has an id of its own."""

    def build(seed: int, *, broken=None, **changes) -> Path:
        run_id = f"run-{seed}-{'broken' if broken else 'good'}"
        return build_peak(seed=seed, broken=broken, meta={"run_id": run_id}, **changes)

    return build


@pytest.fixture
def good(run_of) -> list[Path]:
    return [run_of(seed) for seed in (1, 2, 3, 4)]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "release.yaml").write_text(RELATIVE, encoding="utf-8")
    return tmp_path


def accept(*words: object) -> str:
    return call("baseline", "accept", *words, "--despite", "simulated")[1]


def gate(*words: object) -> tuple[int, str]:
    return call("gate", *words, "--scenario", "release.yaml")


def test_runs_are_accepted_once_listed_and_removed(good, workplace):
    assert "3 of 3 runs accepted; it has 3 now" in accept(*good[:3])
    assert "1 of 4 runs accepted; it has 4 now" in accept(*good)
    copies = sorted(Path(".doorbuster/baselines/main").glob("*/run.sqlite"))
    assert len(copies) == 4
    assert all((run / "run.sqlite").exists() for run in good)
    listed = call("baseline", "list")[1]
    assert all(copy.parent.name in listed for copy in copies)
    assert "1 run removed" in call("baseline", "remove", "main", copies[0].parent.name[:6])[1]
    assert "3 runs removed" in call("baseline", "remove", "main")[1]
    assert "no baselines" in call("baseline", "list")[1]


def test_only_the_newest_runs_are_kept(good):
    assert "2 older removed; it has 2 now" in accept(*good, "--keep", "2")
    assert "it has 1 now" in accept(good[0], "--replace")


def test_a_refused_replacement_leaves_the_baseline_alone(good, run_of):
    accept(*good[:2])
    with pytest.raises(UsageError, match="not accepted into the baseline main"):
        call("baseline", "accept", run_of(3, lateness_ms=80.0), "--replace")
    assert len(list(Path(".doorbuster/baselines/main").glob("*/run.sqlite"))) == 2


def test_a_release_passes_and_a_slower_one_fails(good, run_of):
    accept(*good)
    same, slower = run_of(9), run_of(9, broken=(2, 58))
    code, text = gate(same, "--baseline", "main")
    assert (code, "in 4 runs of the baseline main" in text) == (0, True), text
    code, text = gate(slower, "--baseline", "main")
    assert (code, "fail" in text) == (99, True), text


def test_a_share_may_be_relative_when_customers_were_lost(good, run_of, workplace):
    text = RELATIVE.replace('http_req_duration: ["med<baseline*1.2"]', 'can_order: ["rate>=baseline-1%"]')
    (workplace / "release.yaml").write_text(text, encoding="utf-8")
    accept(*good)
    assert gate(run_of(9), "--baseline", "main")[0] in (0, 96)
    code, text = gate(run_of(9, broken=(2, 58)), "--baseline", "main")
    assert (code, "baseline-1%" in text) == (99, True), text


def test_named_variants_are_compared_over_all_their_runs(good, run_of):
    accept(*good)
    accept(*(run_of(seed, broken=(2, 58)) for seed in (5, 6)), "--name", "variant-b")
    code, text = call("gate", "--candidate", "variant-b", "--baseline", "main", "--scenario", "release.yaml")
    assert code == 99, text


def test_a_run_is_never_its_own_baseline(good):
    with pytest.raises(UsageError, match="holds only the run itself"):
        gate(good[0], "--baseline", good[0])


def test_the_history_may_be_the_baseline(good, run_of):
    for run in good:
        call("history", "add", run, "--branch", "main", "--target-name", "staging")
    code, shown = gate(run_of(9, broken=(2, 58)), "--baseline", "history:main")
    assert (code, "in 4 runs of the baseline history:main" in shown) == (99, True), shown
    with pytest.raises(UsageError, match="on branch release"):
        gate(good[0], "--baseline", "history:release")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gate", "{run}", "--baseline", "main"), "the scenario has no threshold that refers to a baseline"),
        (
            ("gate", "{run}", "--scenario", "release.yaml", "--baseline", "other"),
            "no baseline and no folder 'other'",
        ),
        (("gate", "--baseline", "main"), "name one RUN"),
        (("baseline", "accept", "{broken}"), "can_browse: rate>=99%: fail"),
        (("baseline", "accept", "{late}"), "not accepted into the baseline main"),
        (("baseline", "accept", "{run}", "--name", "../x"), "must consist of letters"),
        (("baseline", "remove", "main"), "the baselines are: none"),
    ],
)
def test_what_cannot_be_done_is_explained(words, message, good, run_of):
    paths = {
        "{run}": good[0],
        "{broken}": run_of(1, broken=(25, 45)),
        "{late}": run_of(3, lateness_ms=80.0),
    }
    with pytest.raises(UsageError, match=re.escape(message)):
        call(*(paths.get(word, word) for word in words))
