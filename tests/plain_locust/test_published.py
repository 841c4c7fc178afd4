"""Locustfiles in the styles that people publish: the same on three clients, and recorded unchanged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from doorbuster.errors import ExitCode
from doorbuster.output import masked
from tests.plain_locust.many_shops import ManyShops
from tests.plain_locust.same_counts import check_same

HERE = Path(__file__).parent
FILES = sorted((HERE / "published").glob("*.py"))
KINDS = ("HttpUser", "FastHttpUser", "ours")
A_FEW = ("press_shop", "strict_answers", "campus")

# What Locust's FastHttpUser lacks or does otherwise than HttpUser; the client follows HttpUser.
FAST_LACKS = {
    "accounts_from_file": "elapsed in a with block",
    "bearer": "authentication objects",
    "campus": "client.cookies",
    "order_token": "client.headers",
    "strict_answers": "elapsed in a with block",
    "telescope_store": "client.headers",
}
FAST_SENDS = {
    "routes_in_query": "a list among the fields of a form is sent as its Python text",
    "tagged_routes": "verify= goes into the query",
}
IN_BACKGROUND = {"page_assets": 24}  # requests in greenlets of the locustfile's own, at most
FAST_NAMES = {
    "staff_and_public": "the default name has no parameters",
    "tea_time": "the same",
}


def run_on(kind: str, files: list[Path]) -> tuple[dict, Counter[str]]:
    """What Locust was told of each file, and what the server served; no result if a user could not start."""
    with ManyShops() as shops:
        command = [
            sys.executable,
            "-W",
            "ignore",
            str(HERE / "run_published.py"),
            kind,
            shops.url,
            *map(str, files),
        ]
        done = subprocess.run(
            command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=300, check=False
        )
        shops.shutdown()
        assert done.returncode in (0, 1), done.stderr
        return (json.loads(done.stdout) if done.returncode == 0 else {}), shops.seen


def without_queries(requests: dict[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, n in requests.items():
        found[re.sub(r"\?\S*", "", name)] += n
    return found


def test_three_published_files_send_and_count_the_same_on_the_client_as_on_http_user():
    files = [HERE / "published" / f"{name}.py" for name in A_FEW]
    theirs, ours = run_on("HttpUser", files), run_on("ours", files)
    assert theirs == ours
    assert all(sum(one["requests"].values()) >= 40 for one in ours[0].values())


@pytest.mark.truth
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_published_file_sends_and_counts_the_same_on_all_three_clients(file):
    (theirs, seen), (ours, seen_of_ours) = run_on("HttpUser", [file]), run_on("ours", [file])
    assert theirs == ours
    assert seen == seen_of_ours
    assert sum(ours[file.stem]["requests"].values()) >= 40
    fast, seen_of_fast = run_on("FastHttpUser", [file])
    if file.stem in FAST_LACKS or file.stem in FAST_SENDS:
        assert (fast, seen_of_fast) != (ours, seen_of_ours), "an explained difference is gone"
        return
    assert seen_of_fast == seen_of_ours
    assert (fast == ours) == (file.stem not in FAST_NAMES)
    found, wanted = fast[file.stem]["requests"], ours[file.stem]["requests"]
    assert without_queries(found) == without_queries(wanted)


def statistics(path: Path) -> dict[str, list[dict]]:
    found = defaultdict(list)
    for entry in json.loads(path.with_suffix(".json").read_text(encoding="utf-8")):
        found[masked(entry["name"])].append(entry)  # passwords in names are not recorded
    return found


@pytest.fixture
def run_unchanged(command, tmp_path):
    """`doorbuster run -f` on files as they are; compared with Locust's own statistics of that run."""

    def run(files: list[Path], at_least: int) -> None:
        load = (
            "--users",
            "6",
            "--spawn-rate",
            "20",
            "--run-time",
            "4s",
            "--",
            "--json-file",
            tmp_path / "own",
        )
        with ManyShops() as shops:
            place = (
                "-f",
                ",".join(map(str, files)),
                "--quiet",
                "--out",
                tmp_path / "out",
                "--url",
                shops.url,
            )
            done = command("run", *place, *load, cwd=tmp_path, timeout=240)
            shops.shutdown()
        own = statistics(tmp_path / "own")
        failed = any(entry["num_failures"] for entries in own.values() for entry in entries)
        verdict = ExitCode.FAIL if failed else ExitCode.PASS
        if "the load generator was overloaded" in done.stdout:  # files without pauses fill a core
            verdict = ExitCode.INCONCLUSIVE
        assert done.returncode == verdict, done.stderr + done.stdout
        late = sum(IN_BACKGROUND.get(file.stem, 0) for file in files)
        check_same(tmp_path / "out", own, at_least, late=late)

    return run


@pytest.mark.truth
def test_three_published_files_are_recorded_unchanged(run_unchanged):
    run_unchanged([HERE / "published" / f"{name}.py" for name in A_FEW], 60)


@pytest.mark.truth
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_published_file_is_recorded_unchanged(run_unchanged, file):
    run_unchanged([file], 6)
