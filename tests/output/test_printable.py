"""Foreign text at the border of what is written."""

from __future__ import annotations

import io
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.output import clean, flat, one_line, open_console, protect_streams, say, say_lines
from doorbuster.output.logs import protect_logs

ATTACK = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mRED \u202e evil \u009b5m \x08\x08 "
    "\rPASS \u2066x\u2069 \ud83d \u2028 \ufeff"
)
UNSAFE = ("Cc", "Cs", "Zl", "Zp")
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def unsafe(text: str) -> list[str]:
    """Characters that may act on a terminal or on the text around them."""
    return [
        letter for letter in text
        if letter not in "\n\t"
        and (unicodedata.category(letter) in UNSAFE or unicodedata.bidirectional(letter) in BIDI)
    ]  # fmt: skip


@given(st.text(st.characters(categories=None)))
def test_no_unsafe_character_passes(text):
    assert unsafe(clean(text)) == []
    clean(text).encode()
    assert "\n" not in flat(text)
    assert "\n" not in one_line(text)


@pytest.mark.parametrize("code", [*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F),
                                  *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF, 0xD800, 0xFFFE,
                                  0xE0001])  # fmt: skip
def test_every_control_and_direction_character_is_replaced(code):
    if chr(code) not in "\n\t":
        assert clean(f"a{chr(code)}b") == "a\ufffdb"


@pytest.mark.parametrize("text", ["Zürich £5 – “tea” 日本 עברית العربية 👩‍👩‍👧 é", "a\tb\nc"])
def test_ordinary_text_stays(text):
    assert clean(text) == text


@pytest.fixture
def protect(monkeypatch):
    """A function that protects two new streams, and returns one that reads them."""

    def begin():
        kept = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
        for name, stream in kept.items():
            monkeypatch.setattr(sys, name, stream)
        protect_streams()
        return lambda: tuple(stream.buffer.getvalue().decode() for stream in kept.values())

    return begin


def test_every_writer_of_a_protected_process_is_cleaned(protect):
    streams = protect()
    say(ATTACK)
    say_lines(f"a\n{ATTACK}", error=True)
    print(ATTACK)
    sys.stderr.write(f"{ATTACK}\n")
    logging.StreamHandler(sys.stderr).handle(logging.makeLogRecord({"msg": ATTACK}))
    for text in streams():
        assert unsafe(text) == []
        assert text


def test_one_line_is_one_line(protect):
    streams = protect()
    say("threshold failed\nverdict: PASS\r\nmore\u2028PASS\x85PASS")
    assert streams()[0].count("\n") == 1


def test_a_console_keeps_its_styles_and_cleans_texts(protect):
    streams = protect()
    open_console(force_terminal=True, width=200, highlight=False).print(ATTACK, style="bold", markup=False)
    text = streams()[0]
    assert text.startswith("\x1b[1m")
    assert text.endswith("\x1b[0m\n")
    assert unsafe(text.removeprefix("\x1b[1m").removesuffix("\x1b[0m\n")) == []


def test_a_log_record_neither_acts_on_a_terminal_nor_begins_a_line(tmp_path):
    logger = logging.getLogger("doorbuster.test_printable")
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    logger.addHandler(handler)
    try:
        protect_logs()
        logger.error("%s", f"{ATTACK}\nERROR/doorbuster: forged, password=hunter22")
    finally:
        logger.removeHandler(handler)
        handler.close()
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert unsafe(text) == []
    assert "\nERROR" not in text
    assert "hunter22" not in text
