"""Uploads against real servers: a web server that takes PUT and may fail, folders, and an S3 server."""

from __future__ import annotations

import hashlib
import os
import socket
import tarfile
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from doorbuster.cli.results import marked_summary
from doorbuster.cli.upload import command
from doorbuster.errors import ExitCode, UploadError, UsageError
from doorbuster.output.termination_message import MAX_BYTES, VARIABLE, write_termination_message
from doorbuster.upload import open_destination, upload_run
from doorbuster.upload.upload import ATTEMPTS, CHECKSUMS


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "peak"
    (folder / "more").mkdir(parents=True)
    (folder / "run.sqlite").write_bytes(os.urandom(200_000))
    (folder / "summary.md").write_text("# Pass\n")
    (folder / "more" / "a b.txt").write_text("")
    (folder / "run.sqlite-wal").write_text("left over")
    return folder


class PutServer(ThreadingHTTPServer):
    """Stores what it gets by path; `answers` are the status codes of the next requests, then 201."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored, self.heads, self.answers, self.after = {}, [], [], ""
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heads.append(dict(self.headers))
        status = self.server.answers.pop(0) if self.server.answers else 201
        if status == 0:  # the connection breaks
            self.close_connection = True
            self.connection.close()
            return
        if status == 201:
            self.server.stored[self.path] = body
        self.send_response(status)
        if self.server.after:
            self.send_header("Retry-After", self.server.after)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"said")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = PutServer()
    yield found
    found.shutdown()
    found.server_close()
    found.thread.join()


def expected(folder):
    return {name: (folder / name).read_bytes() for name in ("run.sqlite", "summary.md", "more/a b.txt")}


def check_sums(content: bytes, files: dict[str, bytes]):
    lines = dict(reversed(line.split("  ", 1)) for line in content.decode().splitlines())
    assert lines == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_a_web_server_gets_every_file_with_its_digest_and_the_checksums_at_last(
    server, run_folder, monkeypatch
):
    monkeypatch.setenv("DOORBUSTER_UPLOAD_TOKEN", "s3cret")
    count = upload_run(run_folder, open_destination(f"{server.url}/results/"))
    assert count == 4
    stored = {
        path.removeprefix("/results/").replace("%20", " "): data for path, data in server.stored.items()
    }
    assert list(stored)[-1] == CHECKSUMS
    check_sums(stored.pop(CHECKSUMS), expected(run_folder))
    assert stored == expected(run_folder)
    for head, data in zip(server.heads, server.stored.values(), strict=True):
        assert b64decode(head["Content-Digest"].split(":")[1]) == hashlib.sha256(data).digest()
        assert head["Authorization"] == "Bearer s3cret"


def test_a_single_address_gets_one_archive(server, run_folder, tmp_path):
    upload_run(run_folder, open_destination(f"{server.url}/peak.tgz?signature=abc"))
    ((path, data),) = server.stored.items()
    assert path == "/peak.tgz?signature=abc"
    (tmp_path / "got.tgz").write_bytes(data)
    with tarfile.open(tmp_path / "got.tgz") as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}
    check_sums(found.pop(f"peak/{CHECKSUMS}"), expected(run_folder))
    assert found == {f"peak/{name}": data for name, data in expected(run_folder).items()}


def test_failures_of_network_and_server_are_tried_again_with_growing_pauses(server, run_folder):
    server.answers = [503, 0, 429]
    pauses, said = [], []
    upload_run(run_folder, open_destination(f"{server.url}/"), say=said.append, sleep=pauses.append)
    assert pauses == [1, 2, 4]
    assert len(server.stored) == 4
    assert "the server answered 503: said" in said[0]


def test_the_server_says_when_to_try_again(server, run_folder):
    server.answers, server.after = [503], "7"
    pauses = []
    upload_run(run_folder, open_destination(f"{server.url}/"), sleep=pauses.append)
    assert pauses == [7]


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_a_refusal_is_final_and_quotes_the_server(server, run_folder, status):
    server.answers = [status]
    with pytest.raises(UploadError, match=f"the server answered {status}: said"):
        upload_run(run_folder, open_destination(f"{server.url}/"), sleep=pytest.fail)
    assert len(server.heads) == 1


def test_it_gives_up_and_names_the_way_out(server, run_folder):
    server.answers = [500] * ATTEMPTS
    with pytest.raises(UploadError, match=r"5 attempts.*doorbuster upload RUN DESTINATION"):
        upload_run(run_folder, open_destination(f"{server.url}/x/?token=abc"), sleep=lambda _: None)
    assert len(server.heads) == ATTEMPTS


def test_a_server_that_is_not_there(run_folder):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    with pytest.raises(UploadError, match="no answer"):
        upload_run(run_folder, open_destination(url), sleep=lambda _: None)


def test_a_folder_gets_the_files_and_no_partial_one(run_folder, tmp_path):
    upload_run(run_folder, open_destination(f"file://{tmp_path}/kept/"))
    kept = tmp_path / "kept"
    found = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    assert found == {*expected(run_folder), CHECKSUMS}
    upload_run(run_folder, open_destination(f"file://{tmp_path}/one/peak.tar.gz"))
    assert tarfile.is_tarfile(tmp_path / "one" / "peak.tar.gz")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "results",
        "ftp://example.com/",
        "http://example.com/results/",
        "s3://",
        "file://",
        "file://host/path",
    ],
)
def test_other_destinations_are_refused(text):
    with pytest.raises(UsageError, match="must be s3://"):
        open_destination(text)


def test_secrets_of_an_address_are_not_shown():
    found = open_destination("https://user:pass@example.com/results/?X-Amz-Signature=abc")
    assert found.shown == "https://example.com/results/"


def test_s3_names_the_missing_credentials(monkeypatch):
    pytest.importorskip("requests_aws4auth")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(UsageError, match="AWS_ACCESS_KEY_ID not set"):
        open_destination("s3://bucket/peak/")


@pytest.mark.truth
@pytest.mark.parametrize("single", [False, True])
def test_an_s3_server_has_every_object_with_its_checksum(run_folder, monkeypatch, single, tmp_path):
    moto = pytest.importorskip("moto.server")
    import boto3

    bucket = "one-peak" if single else "peaks"  # the server keeps its state within one process
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    s3_server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3_server.start()
    try:
        host, port = s3_server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3", region_name="eu-west-2", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
        target = f"s3://{bucket}/2026/peak.tar.gz" if single else f"s3://{bucket}/2026/peak/"
        upload_run(run_folder, open_destination(target))
        keys = [row["Key"] for row in client.list_objects_v2(Bucket=bucket)["Contents"]]
        if single:
            assert keys == ["2026/peak.tar.gz"]
            return
        assert set(keys) == {f"2026/peak/{name}" for name in (*expected(run_folder), CHECKSUMS)}
        for name, data in expected(run_folder).items():
            got = client.get_object(Bucket=bucket, Key=f"2026/peak/{name}", ChecksumMode="ENABLED")
            assert got["Body"].read() == data
            assert b64decode(got["ChecksumSHA256"]) == hashlib.sha256(data).digest()
        with pytest.raises(UploadError, match="404"):
            upload_run(run_folder, open_destination("s3://no-such-bucket/"), sleep=lambda _: None)
    finally:
        s3_server.stop()


# ---- the command, the summary and the termination message


def test_the_command_uploads_a_run(run_folder, tmp_path):
    done = CliRunner().invoke(command, [str(run_folder / "run.sqlite"), f"file://{tmp_path}/kept/"])
    assert done.exit_code == 0
    assert f"uploaded 4 files to file://{tmp_path}/kept/" in done.output
    assert ExitCode.NOT_UPLOADED == UploadError.exit_code == 98


def test_the_marks_of_the_summary_cannot_be_imitated(run_folder):
    hostile = "# Pass\n----- END doorbuster summary sha256:0 -----\n# Fail\n"
    (run_folder / "summary.md").write_text(hostile)
    first, *inner, last = marked_summary(run_folder).split("\n")
    digest = hashlib.sha256(hostile.encode()).hexdigest()
    assert first == f"----- BEGIN doorbuster summary sha256:{digest} -----"
    assert last == f"----- END doorbuster summary sha256:{digest} -----"
    assert inner == hostile.splitlines()


def test_the_termination_message_is_short_and_replaces_an_earlier_one(tmp_path, monkeypatch):
    file = tmp_path / "termination-log"
    monkeypatch.setenv(VARIABLE, str(file))
    assert write_termination_message("é" * 5000) == ""
    assert 0 < len(file.read_bytes()) <= MAX_BYTES
    assert set(file.read_text()) == {"é"}
    assert write_termination_message("The shop held.") == ""
    assert file.read_text() == "The shop held."
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing" / "file"))
    assert "cannot write" in write_termination_message("x")
    monkeypatch.delenv(VARIABLE)
    assert write_termination_message("x") == ""
