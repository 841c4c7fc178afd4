"""The parser of server-sent events: the rules of the standard, in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.load.protocols.event_parser import (
    MAX_EVENT_BYTES,
    EventParser,
    EventTooLargeError,
    ServerEvent,
)


def message(data: str, kind: str = "message", id_: str = "") -> ServerEvent:
    return ServerEvent(kind, data, id_)


CASES = [  # those of the standard's examples, and each of its rules
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")]),
    (b": comment\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n",
     [message("first", id_="1"), message("second"), message(" third")]),
    (b"data\n\ndata\ndata\n\ndata:", [message(""), message("\n")]),
    (b"data:test\n\ndata: test\n\n", [message("test"), message("test")]),
    (b"event: add\r\ndata: 1\r\n\r\nevent: drop\rdata: 2\r\r", [message("1", "add"), message("2", "drop")]),
    (b"\xef\xbb\xbfdata: after a byte order mark\n\n", [message("after a byte order mark")]),
    (b"event: lonely\n\ndata: x\n\n", [message("x")]),
    (b"id: 7\0\ndata: x\n\n", [message("x")]),
    (b"retry: 10\nunknown: 1\ndata: x\n\n", [message("x")]),
    (b"data: \xff\n\n", [message("\ufffd")]),
    (b"data: never completed", []),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_the_rules_of_the_standard(stream, expected):
    assert list(EventParser().feed(stream)) == expected


@given(st.sampled_from(CASES), st.lists(st.integers(1, 8), max_size=60))
def test_the_sizes_of_the_pieces_do_not_matter(case, sizes):
    stream, expected = case
    parser, found, at = EventParser(), [], 0
    for size in [*sizes, len(stream)]:
        found += parser.feed(stream[at : at + size])
        at += size
    assert found == expected


def test_json_and_the_last_id():
    parser = EventParser()
    (event,) = parser.feed(b'id: 5\ndata: {"left": 3}\n\n')
    assert event.json() == {"left": 3}
    assert parser.last_id == "5"


@pytest.mark.parametrize(
    "stream", [b"data: " + b"x" * MAX_EVENT_BYTES + b"y", b"data: 0123456789\n" * 110_000]
)
def test_an_endless_event_is_refused(stream):
    with pytest.raises(EventTooLargeError):
        list(EventParser().feed(stream))
