"""Uploads against real servers: a web server that takes PUT and may fail, folders, and an S3 server."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import tarfile
import threading
import tracemalloc
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from doorbuster.cli.results import marked_summary
from doorbuster.cli.upload import command
from doorbuster.errors import ExitCode, UploadError, UsageError
from doorbuster.output import clean
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
        self.text, self.location = b"said", ""
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
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.text)))
        self.end_headers()
        self.wfile.write(self.server.text)

    def log_message(self, *_):
        pass


class DiscardingHandler(Handler):
    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65_536)))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


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
    with pytest.raises(UploadError, match=r"no answer \(Connection refused\)") as found:
        upload_run(run_folder, open_destination(f"{url}x/?sig=s3cret"), sleep=lambda _: None)
    assert "s3cret" not in str(found.value)


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
        "file:///tmp/peak?x=1",
        "s3://bucket/peak/?versionId=1",
        "s3://AKIA:s3cret@bucket/peak/",
        "https://example.com/peak/#part",
        "https:///peak/",
    ],
)
def test_other_destinations_are_refused(text):
    with pytest.raises(UsageError, match="must be s3://"):
        open_destination(text)


def test_secrets_of_an_address_are_not_shown():
    found = open_destination("https://user:pass@example.com/results/?X-Amz-Signature=abc")
    assert found.shown == "https://example.com/results/"


def test_a_server_that_quotes_what_it_was_sent_reveals_nothing(server, run_folder, monkeypatch):
    server.answers, server.text = [403, 403], b"denied: open-sesame-1, open-sesame-2, open-sesame-3"
    address = f"{server.url}/?X-Amz-Signature=open-sesame-3".replace("http://", "http://me:open-sesame-1@")
    with pytest.raises(UploadError) as refused:
        upload_run(run_folder, open_destination(address))
    monkeypatch.setenv("DOORBUSTER_UPLOAD_TOKEN", "open-sesame-2")
    with pytest.raises(UploadError) as again:
        upload_run(run_folder, open_destination(f"{server.url}/"))
    for one in (refused, again):
        assert clean(str(one.value)).endswith("denied: ***, ***, ***")


@pytest.mark.parametrize(
    "text", ["https://user:s3#cret@example.com/", "https://[s3cret/", "https://h:s3cret/"]
)
def test_an_address_that_cannot_be_read_is_not_quoted(text):
    with pytest.raises(UsageError, match="the host or the port of the address is not valid") as found:
        open_destination(text)
    assert "cret" not in str(found.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_credentials_do_not_follow_a_redirect(server, run_folder, monkeypatch, status):
    elsewhere = PutServer()
    try:
        monkeypatch.setenv("DOORBUSTER_UPLOAD_TOKEN", "s3cret")
        server.answers, server.location = [status], f"{elsewhere.url}/stolen"
        with pytest.raises(UploadError, match=f"answered {status}.*name the final address"):
            upload_run(run_folder, open_destination(f"{server.url}/"), sleep=pytest.fail)
        assert elsewhere.heads == []
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()
        elsewhere.thread.join()


def test_the_token_is_not_replaced_by_credentials_of_the_home_folder(
    server, run_folder, tmp_path, monkeypatch
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    upload_run(run_folder, open_destination(f"{server.url}/"))
    monkeypatch.setenv("DOORBUSTER_UPLOAD_TOKEN", "s3cret")
    upload_run(run_folder, open_destination(f"{server.url}/"))
    assert [head.get("Authorization") for head in server.heads] == [None] * 4 + ["Bearer s3cret"] * 4


def test_the_user_of_an_address_is_sent_as_basic_authentication(server, run_folder, monkeypatch):
    address = f"{server.url}/".replace("http://", "http://me:p%40ss@")
    upload_run(run_folder, open_destination(address))
    assert {head["Authorization"] for head in server.heads} == {f"Basic {b64encode(b'me:p@ss').decode()}"}
    monkeypatch.setenv("DOORBUSTER_UPLOAD_TOKEN", "s3cret")
    with pytest.raises(UsageError, match="use one of them"):
        open_destination(address)


def test_a_full_disk_is_named_and_not_filled_further(run_folder, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # a write beyond fails, as on a full disk
    try:
        with pytest.raises(UploadError, match=r"run\.sqlite was not uploaded to .*: File too large"):
            upload_run(run_folder, open_destination(f"file://{tmp_path}/my%20disk/"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "my disk").rglob("*") if path.is_file()] == ["a b.txt"]


@pytest.fixture
def s3_endpoint(server, monkeypatch):
    pytest.importorskip("requests_aws4auth")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    return server


def test_a_body_that_was_damaged_on_its_way_to_s3_is_sent_again(s3_endpoint, run_folder):
    s3_endpoint.answers, s3_endpoint.text = [400], b"<Error><Code>BadDigest</Code></Error>"
    said = []
    upload_run(run_folder, open_destination("s3://bucket/peak/"), say=said.append, sleep=lambda _: None)
    assert said == ["more/a b.txt: the server answered 400: BadDigest; next attempt in 1 s"]
    assert s3_endpoint.stored["/bucket/peak/run.sqlite"] == (run_folder / "run.sqlite").read_bytes()


def test_a_large_file_is_not_read_into_memory_to_be_signed(s3_endpoint, run_folder):
    with (run_folder / "run.sqlite").open("r+b") as file:
        file.truncate(40_000_000)
    s3_endpoint.RequestHandlerClass = DiscardingHandler
    target = open_destination("s3://bucket/peak/")
    tracemalloc.start()
    try:
        upload_run(run_folder, target)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000_000


@pytest.mark.parametrize("endpoint", ["minio:9000", "ftp://minio", "https://me:s3cret@minio"])
def test_an_endpoint_that_is_not_a_url_is_refused_before_the_run(s3_endpoint, monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL must be a URL") as found:
        open_destination("s3://bucket/peak/")
    assert "s3cret" not in str(found.value)


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
