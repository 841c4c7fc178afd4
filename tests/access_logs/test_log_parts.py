"""Logs in parts: rotated files that overlap, servers that write side by side, files still being written."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from simulated_log import FIREFOX, combined_lines, simulate

from doorbuster.access_logs import LogMap, LogOptions
from doorbuster.access_logs.demand_model import step_of
from doorbuster.access_logs.log_pieces import LogPiece, plain_blocks
from doorbuster.access_logs.overlaps import Overlap, find_overlaps, without_repeats
from doorbuster.access_logs.page_events import EVENT
from doorbuster.access_logs.reading import read_logs
from doorbuster.access_logs.sessions import find_visits

CHAIN = {
    "enter": {"home": 0.6, "product": 0.4}, "home": {"product": 0.5, "leave": 0.5},
    "product": {"product": 0.4, "basket": 0.2, "leave": 0.4}, "basket": {"leave": 1.0},
}  # fmt: skip
ADDRESSES = {"home": "GET /", "product": "GET /product/12", "basket": "POST /cart/add"}


@pytest.fixture(scope="module")
def lines():
    pages = simulate(CHAIN, 300, rate_per_s=0.5, think_s=lambda rng: float(rng.lognormal(2.5, 0.8)), seed=3)
    return combined_lines(pages, ADDRESSES).splitlines(keepends=True)


class Found:
    """What was read of some files, and the visits in it."""

    def __init__(self, log):
        self.notes, self.counts = log.notes, log.counts
        steps = [step_of(page.kind.kind) for page in log.table.pages]
        self.behaviour = find_visits(log.store, log.overlaps, log.table, steps, gap_s=1800)


def found_in(tmp_path, **files):
    """What files show, by name, each given by its lines."""
    paths = []
    for name, content in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content if isinstance(content, bytes) else "".join(content).encode())
    return Found(read_logs(paths, LogOptions(LogMap())))


def figures(found):
    behaviour = found.behaviour
    return behaviour.kinds, behaviour.transitions.tolist(), len(behaviour.visits), behaviour.pages


def test_parts_that_overlap_count_their_common_lines_once(lines, tmp_path):
    expected = figures(found_in(tmp_path, whole=lines))
    half = len(lines) // 2
    found = found_in(
        tmp_path,
        newer=lines[half - 60 :],
        older=lines[: half + 60],
        copy=gzip.compress("".join(lines).encode()),
    )
    assert figures(found) == expected
    assert found.notes[0].startswith("newer and older overlap from 2023-11-14 22:")
    assert found.notes[0].endswith("UTC: their common page views count once")
    assert len(found.notes) == 3


def test_servers_that_write_side_by_side_do_not_overlap(lines, tmp_path):
    expected = figures(found_in(tmp_path, whole=lines))
    found = found_in(tmp_path, second=lines[1::2], first=lines[::2])
    assert figures(found) == expected
    assert not found.notes


def events(*rows):
    return np.array([(visitor, time_ms, 3, 200, -1, file) for visitor, time_ms, file in rows], EVENT)


def test_a_page_that_one_file_has_twice_stays_twice():
    stored = events(*((7, 1000 * n, file) for n in range(10) for file in (0, 1)), (7, 5000, 1))
    assert find_overlaps(stored) == [Overlap(0, 1, 0, 9000)]
    once = without_repeats(stored, [Overlap(0, 1, 0, 9000)])
    assert sorted(once["time_ms"].tolist()) == sorted([*range(0, 10_000, 1000), 5000])


def test_files_that_overlap_through_a_third_one_are_one():
    stored = events(*((7, 1000 * n, file) for n in range(10) for file in (0, 1, 2)))
    assert len(without_repeats(stored, find_overlaps(stored))) == 10


def test_pages_that_two_files_share_by_chance_are_not_an_overlap():
    rng = np.random.default_rng(1)
    stored = events(
        *((int(v), int(t) * 1000, n % 2) for n, (v, t) in enumerate(rng.integers(0, 40, (2000, 2))))
    )
    assert find_overlaps(stored) == []
    assert len(without_repeats(stored, [])) == 2000


def with_agent(line, agent):
    return line.replace(FIREFOX, agent)


def in_zone(line, hours):
    start, end = line.index("[") + 1, line.index("]")
    moment = datetime.strptime(line[start:end], "%d/%b/%Y:%H:%M:%S %z").astimezone(
        timezone(timedelta(hours=hours))
    )
    return f"{line[:start]}{moment:%d/%b/%Y:%H:%M:%S %z}{line[end:]}"


def as_ipv6(line):
    address, rest = line.split(" ", 1)
    return f"2001:db8::{address.replace('.', ':')} {rest}"


FRONTS = {
    "quoted list": lambda client: f'"{client}, 10.0.0.1" 10.0.0.1',
    "plain list": lambda client: f"{client}, 70.41.3.18, 10.0.0.1",
    "list and proxy": lambda client: f"{client}, 70.41.3.18 10.0.0.1",
    "client and proxy": lambda client: f"{client} 10.0.0.1",
    "proxy and client": lambda client: f"10.0.0.1 {client}",
    "host and client": lambda client: f"shop.example.com:443 {client}",
    "own address and client": lambda client: f"192.0.2.1:443 {client}",
}


@pytest.mark.parametrize("front", FRONTS.values(), ids=FRONTS)
def test_the_visitor_is_found_among_the_addresses_before_the_time(front, lines, tmp_path):
    changed = [f"{front(line.split(' ', 1)[0])} {line.split(' ', 1)[1]}" for line in lines]
    assert figures(found_in(tmp_path, changed=changed)) == figures(found_in(tmp_path, plain=lines))


CHANGES = {
    "escaped quotes": lambda _, line: with_agent(line, r"Mozilla/5.0 \"odd\" \\ (X11) Firefox/141.0"),
    "IPv6": lambda _, line: as_ipv6(line),
    "no agents": lambda _, line: with_agent(line, "-").replace(" 200 512", " 200 -"),
    "zones that change": lambda place, line: in_zone(line, 2 if place < 300 else 1),
    "carriage returns": lambda _, line: line.replace("\n", "\r\n"),
    "a user called cafe": lambda place, line: line.replace(" - - [", " - cafe [" if place % 2 else " - - ["),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_lines_may_be_written_in_many_ways(change, lines, tmp_path):
    changed = [change(place, line) for place, line in enumerate(lines)]
    assert figures(found_in(tmp_path, changed=changed)) == figures(found_in(tmp_path, plain=lines))


@pytest.mark.parametrize(
    "end", [b"10.0.0.1 - - [14/Nov/2023:22:", b"\0" * 5000], ids=["half a line", "zeros"]
)
def test_a_file_that_is_still_written_is_read_up_to_its_last_whole_line(end, lines, tmp_path):
    found = found_in(tmp_path, growing="".join(lines).encode() + end)
    assert figures(found) == figures(found_in(tmp_path, plain=lines))
    assert found.counts.unreadable == 1


def test_a_file_that_is_cut_off_while_it_is_read_ends_there(tmp_path):
    (tmp_path / "rotated").write_bytes(b"a line\n" * 3)
    assert list(plain_blocks(LogPiece(tmp_path / "rotated", 0, 4000))) == [b"a line\n" * 3]
