"""The history file: adding, merging and pruning runs, and what is refused."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from doorbuster.errors import RecordError
from doorbuster.history.identity import TimelineKey
from doorbuster.history.store import History, HistoryRun, Sample, StoredMetric

P95 = StoredMetric("http_req_duration p(95)", "ms", "lower", headline=True)
RATE = StoredMetric("can_order rate", "ratio", "higher", headline=False)
OTHER = TimelineKey("smoke 1a2b3c4d", "https://shop.example", "Linux x86_64, 2 cores, 8 GB", "other")


def test_a_run_that_is_known_is_left_alone(fill):
    with History.open(fill({P95: [100.0, 101.0]})) as history:
        (key,) = history.timelines()
        before = history.runs(key)
        assert not history.add(key, before[0], {P95: Sample(999.0)})
        assert history.runs(key) == before
        assert [values.value.tolist() for values in history.values(key)] == [[100.0, 101.0]]


def test_runs_are_in_order_of_their_start_whatever_the_order_of_adding(fill):
    with History.open(fill({P95: [100.0, 101.0]})) as history:
        (key,) = history.timelines()
        history.add(key, HistoryRun("late import", 1, "abc", "pass"), {P95: Sample(99.0)})
        assert history.runs(key)[0].run_id == "late import"
        assert [values.value.tolist() for values in history.values(key)] == [[99.0, 100.0, 101.0]]
        assert [values.value.tolist() for values in history.values(key, last=2)] == [[100.0, 101.0]]


def test_unusable_runs_keep_their_place_and_do_not_count(fill):
    with History.open(fill({P95: [100.0, 101.0], RATE: [None, 0.9]})) as history:
        (key,) = history.timelines()
        bad = HistoryRun("bad", 2**61, "abc", "inconclusive", "the generator was overloaded")
        history.add(key, bad, {P95: Sample(500.0)})
        assert len(history.runs(key)) == 3
        found = {values.metric.key: values for values in history.values(key)}
        assert found[P95.key].value.tolist() == [100.0, 101.0]
        assert (found[RATE.key].at.tolist(), found[RATE.key].value.tolist()) == ([1], [0.9])
        assert np.isnan(found[RATE.key].low).all()
        assert [values.metric for values in history.values(key, headlines=True)] == [P95]


def test_merging_adds_runs_and_notes_once(fill):
    one, two = fill({P95: [100.0] * 3}), fill({P95: [90.0] * 4}, key=OTHER, name="two.sqlite")
    with History.open(one) as history, History.open(two) as other:
        other.annotate("000000000001", "new index")
        assert [history.merge(other), history.merge(other)] == [4, 0]
        assert dict(history.timelines()) == {OTHER: 4, next(k for k in history.timelines() if k != OTHER): 3}
        assert history.notes() == {"000000000001": ("new index",)}
        assert history.samples("other-0") == {P95: Sample(90.0)}


def test_a_note_needs_a_commit_that_exists_once(fill):
    with History.open(fill({P95: [1.0] * 3}, commits=["abc1", "abc2", "def1"])) as history:
        assert history.annotate("def", "text") == "def1"
        with pytest.raises(RecordError, match="2 commits begin with 'abc'"):
            history.annotate("abc", "text")
        with pytest.raises(RecordError, match="no commit of a run begins with '999'"):
            history.annotate("999", "text")


def test_pruning_keeps_the_newest_runs_of_each_timeline(fill):
    path = fill({P95: [100.0, 101.0, 102.0]})
    with History.open(path) as history, History.open(fill({P95: [90.0]}, key=OTHER, name="b")) as other:
        history.merge(other)
        assert history.prune(keep=2) == 1
        assert sorted(history.timelines().values()) == [1, 2]
        assert history.prune(before_unix_ns=2**62) == 3
        assert history.timelines() == {}


def test_a_failed_addition_leaves_nothing_behind(fill):
    with History.open(fill({P95: [100.0]})) as history:
        (key,) = history.timelines()
        with pytest.raises(RecordError, match="cannot use the history"):
            history.add(key, HistoryRun("bad", 1, "abc", "pass"), {P95: Sample(None)})
        assert not history.has("bad")


def test_other_files_are_refused(tmp_path):
    text, database = tmp_path / "text", tmp_path / "database"
    text.write_text("hello " * 1000, encoding="utf-8")
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE other (a)")
    db.close()
    for path, message in (
        (text, "not a database"),
        (database, "is not a history"),
        (tmp_path / "missing", "there is no history"),
    ):
        with pytest.raises(RecordError, match=message):
            History.open(path)
