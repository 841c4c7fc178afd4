"""Run files under bad circumstances: killed writers, full disks, damaged files, other versions."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from doorbuster.errors import RecordError
from doorbuster.records.histogram import Histogram
from doorbuster.records.metadata import WRITER_ENDED
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME, SCHEMA_VERSION
from doorbuster.records.writer import RunWriter

RECORDER = """
import sys
from pathlib import Path
import numpy as np
from doorbuster.records.batch import Batch, RequestSecond, SeriesKey
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.writer import RunWriter

meta = RunMeta(
    run_id="r1", title="t", scenario_name="s", scenario_text="", storefront="reference", target_url="",
    seed=1, workers=1, started_at_unix_ns=0, duration_s=60.0,
)
writer = RunWriter.create(Path(sys.argv[1]), meta, {"web": np.ones(60, int)})
for second, _ in enumerate(sys.stdin):
    blob = pack([1000] * 10)
    request = RequestSecond(second, SeriesKey("web", "buy", "pay", "ok", ""), 10, 0, 0, blob, blob, blob)
    writer.write([Batch("w0", second, requests=(request,))])
    print(second, flush=True)
"""


@pytest.fixture
def written(tmp_path: Path, make_meta, make_batch) -> Path:
    """A finished run file of some hundred kilobytes."""
    with RunWriter.create(tmp_path / "run", make_meta(), {"web": np.ones(10, int)}) as writer:
        for seq in range(50):
            writer.write([make_batch(seq, {(seq, step): list(range(0, 90_000, 1000)) for step in "abc"})])
        writer.finish("finished")
    return tmp_path / "run" / FILE_NAME


def test_a_finished_run_is_a_single_file(written: Path):
    assert [path.name for path in written.parent.iterdir()] == [FILE_NAME]


def test_a_run_whose_writer_is_killed_is_complete_to_the_last_committed_second(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as recorder:  # fmt: skip
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        for second in range(5):
            recorder.stdin.write("\n")
            assert f"{second}\n" == recorder.stdout.readline()
            with Run.open(tmp_path) as run:  # another process reads while it is written
                assert ("running", 10 * (second + 1)) == (run.meta.status, run.histogram().n)
        recorder.send_signal(signal.SIGKILL)
        recorder.wait()
    with Run.open(tmp_path) as run:
        assert run.meta.status == "interrupted"
        assert run.meta.status_reason == WRITER_ENDED
        assert Histogram.from_weighted([1000], [50]) == run.histogram()
        assert run.recorded_s == 5
        assert [row[0] for row in run._select("PRAGMA integrity_check")] == ["ok"]


def test_a_reader_in_the_middle_of_reading_does_not_hold_up_the_writer(tmp_path, make_meta, make_batch):
    with RunWriter.create(tmp_path, make_meta(), {}) as writer:
        writer._db.execute("PRAGMA busy_timeout = 0")
        writer.write([make_batch(seq, {(seq, "a"): [1]}) for seq in range(3)])
        reader = sqlite3.connect(tmp_path / FILE_NAME)
        cursor = reader.execute("SELECT second FROM requests")
        assert cursor.fetchone() == (0,)
        writer.write([make_batch(3, {(3, "a"): [1]})])
        writer.finish("finished")
        assert cursor.fetchall() == [(1,), (2,)]
        reader.close()
    with Run.open(tmp_path) as run:
        assert (run.meta.status, run.histogram().n) == ("finished", 4)


def test_a_writer_that_closes_without_finishing_leaves_an_interrupted_run(tmp_path, make_meta):
    RunWriter.create(tmp_path, make_meta(), {}).close()
    with Run.open(tmp_path) as run:
        assert run.meta.status == "interrupted"


@pytest.mark.parametrize(("silent_s", "status"), [(5, "running"), (45, "interrupted")])
def test_a_writer_on_another_machine_is_alive_while_it_sends_heartbeats(
    tmp_path, make_meta, monkeypatch, silent_s, status
):
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    writer = RunWriter.create(tmp_path, make_meta(), {}, clock_ns=lambda: 1_000_000_000_000)
    monkeypatch.undo()
    monkeypatch.setattr("time.time", lambda: 1000.0 + silent_s)
    with Run.open(tmp_path) as run:
        assert status == run.meta.status
    writer.close()


def test_a_later_process_with_the_same_number_is_not_taken_for_the_writer(tmp_path, make_meta):
    with RunWriter.create(tmp_path, make_meta(), {}) as writer, Run.open(tmp_path) as run:
        assert run.meta.status == "running"
        writer._db.execute("UPDATE writer SET process_started_at_unix_s = process_started_at_unix_s - 100")
        assert run.meta.status == "interrupted"


# Things that cannot be written


def test_a_folder_that_holds_a_run_is_not_overwritten(written: Path, make_meta):
    with pytest.raises(RecordError) as caught:
        RunWriter.create(written.parent, make_meta(), {})
    assert f"{written}: this folder holds a run already; name another folder or remove it" == str(
        caught.value
    )


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, make_meta):
    (tmp_path / "file").touch()
    with pytest.raises(RecordError) as caught:
        RunWriter.create(tmp_path / "file" / "run", make_meta(), {})
    assert f"{tmp_path}/file/run: cannot create the folder for the run: Not a directory" == str(caught.value)


@contextlib.contextmanager
def without_root() -> Iterator[None]:
    """Root may write anywhere: step down for the length of a test that is about rights."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_folder_that_may_not_be_written_is_named(open_folder: Path, make_meta):
    open_folder.chmod(0o555)
    with without_root(), pytest.raises(RecordError) as caught:
        RunWriter.create(open_folder, make_meta(), {})
    expected = "it cannot be opened; check that the folder exists and may be read and written"
    assert f"{open_folder}/run.sqlite: cannot create a run file: {expected}" == str(caught.value)
    assert list(open_folder.iterdir()) == []


def test_a_finished_run_opens_from_a_folder_that_may_not_be_written(open_folder: Path, make_meta, make_batch):
    with RunWriter.create(open_folder, make_meta(), {}) as writer:
        writer.write([make_batch(0, {(0, "a"): [1]})])
        writer.finish("finished")
    open_folder.chmod(0o555)
    with without_root(), Run.open(open_folder) as run:
        assert (run.meta.status, run.histogram().n) == ("finished", 1)


def test_a_run_left_in_write_ahead_mode_opens_from_a_folder_that_may_not_be_written(
    open_folder, make_meta, make_batch
):
    with RunWriter.create(open_folder, make_meta(), {}) as writer:
        writer.write([make_batch(0, {(0, "a"): [1]})])
    open_folder.chmod(0o555)
    with without_root(), Run.open(open_folder) as run:
        assert (run.meta.status, run.histogram().n) == ("interrupted", 1)


def test_a_full_disk_is_reported_and_the_same_second_may_be_written_again(tmp_path, make_meta, make_batch):
    with RunWriter.create(tmp_path, make_meta(), {}) as writer:
        writer.write([make_batch(0, {(0, "a"): [1]})])
        pages = writer._db.execute("PRAGMA page_count").fetchone()[0]
        writer._db.execute(f"PRAGMA max_page_count = {pages + 1}")
        big = make_batch(1, {(1, step): list(range(0, 900_000, 1000)) for step in "abcdef"})
        with pytest.raises(RecordError) as caught:
            writer.write([big])
        assert (
            f"{tmp_path}/run.sqlite: cannot record a second of the run: the disk is full;"
            " free some space and run again"
        ) == str(caught.value)
        with Run.open(tmp_path) as run:
            assert run.histogram().n == 1
        writer._db.execute("PRAGMA max_page_count = 1000000")
        assert writer.write([big]) == 1
        assert writer.write([big]) == 0
    with Run.open(tmp_path) as run:
        assert run.histogram().n == 1 + 6 * 900


def test_a_file_size_limit_ends_the_recording_in_one_line_and_keeps_what_was_committed(tmp_path: Path):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    recorder = subprocess.run(
        [sys.executable, "-c", RECORDER, str(tmp_path)], input="\n" * 500, capture_output=True, text=True,
        check=False, preexec_fn=limit,
    )  # fmt: skip
    assert recorder.stderr.splitlines()[-1].startswith(
        f"doorbuster.errors.RecordError: {tmp_path}/run.sqlite: cannot record a second of the run: the disk"
    )
    committed = len(recorder.stdout.splitlines())
    assert committed > 5
    with Run.open(tmp_path) as run:
        assert ("interrupted", committed) == (run.meta.status, run.recorded_s)


# Things that cannot be read


def refusal(path: Path) -> str:
    """The one line with which a path is refused, whether at opening or at the first reading."""
    with pytest.raises(RecordError) as caught, Run.open(path) as run:
        run.histogram()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_a_run_is_named(tmp_path: Path):
    expected = "there is no run file; name a folder that `doorbuster run` wrote"
    assert f"{tmp_path}/run.sqlite: {expected}" == refusal(tmp_path)
    assert f"{tmp_path}/gone: {expected}" == refusal(tmp_path / "gone")


@pytest.mark.parametrize("content", ["title: a scenario\n" * 100, "x"], ids=["text", "one letter"])
def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "sale.yaml"
    path.write_text(content)
    assert (
        f"{path}: cannot open the run: it is not a run file (no SQLite database); name a folder that"
        " `doorbuster run` wrote"
    ) == refusal(path)


def test_a_database_of_another_program_is_refused(tmp_path: Path):
    path = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE meta (key, value)")
    expected = f"{path}: this SQLite database is not a run file; name a folder that `doorbuster run` wrote"
    assert expected == refusal(path)


def test_an_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "run.sqlite").touch()
    assert "is not a run file" in refusal(tmp_path)


def test_a_file_that_may_not_be_read_is_named(open_folder: Path, make_meta):
    RunWriter.create(open_folder, make_meta(), {}).close()
    (open_folder / FILE_NAME).chmod(0)
    with without_root():
        assert f"{open_folder}/run.sqlite: cannot open the run: Permission denied" == refusal(open_folder)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_refused(written: Path, share: float):
    os.truncate(written, int(written.stat().st_size * share))
    expected = "the file is damaged or cut off; copy it again from where it was recorded"
    assert f"{written}: cannot open the run: {expected}" == refusal(written)


def test_a_file_with_a_hole_in_it_is_refused(written: Path):
    size = written.stat().st_size
    with written.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    assert "the file is damaged or cut off; copy it again from where it was recorded" in refusal(written)


def test_a_file_of_another_version_is_refused(written: Path):
    with contextlib.closing(sqlite3.connect(written)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert (
        f"{written}: recorded in format {SCHEMA_VERSION + 1}, this doorbuster reads format {SCHEMA_VERSION};"
        " use the doorbuster that recorded it"
    ) == refusal(written)


def test_unknown_metadata_fields_are_ignored(written: Path):
    with contextlib.closing(sqlite3.connect(written, isolation_level=None)) as other:
        other.execute("INSERT INTO meta VALUES ('weather', '\"rain\"')")
    with Run.open(written) as run:
        assert run.meta.status == "finished"


def test_damaged_metadata_is_an_error(written: Path):
    with contextlib.closing(sqlite3.connect(written, isolation_level=None)) as damaged:
        damaged.execute("DELETE FROM meta WHERE key = 'seed'")
    with pytest.raises(RecordError, match=r": meta has a value that no run has \(.*'seed'\); copy it again"):
        Run.open(written)
