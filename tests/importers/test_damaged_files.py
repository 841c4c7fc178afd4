"""Damaged result files end in one sentence or in a run, never in a traceback, a hang or a large memory."""

import time
import tracemalloc

import numpy as np
import pytest
import result_files
from result_files import requests

from doorbuster.errors import DoorbusterError
from doorbuster.importers import ImportOptions, import_run, read_label_map

SENT = requests(60)
LIMIT_S = 10.0  # of processor time, on a busy machine and with memory traced
LIMIT_BYTES = 200_000_000
PIECES = (
    b"\0", b"\xff\xfe", b"\n", b'"', b",", b"\t", b"{", b"}", b"[", b"-1", b"1e999", b"NaN", b"null",
    b"99999999999999999999", b"\x1b[31m", b"<!--", b"</testResults>", b"\xed\xa0\x80", b"true",
    b"'; DROP TABLE requests; --", b"\x80\x81\x82",
)  # fmt: skip


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """One to four of: flip a byte, cut, repeat, insert, delete, swap."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        if not data:
            break
        at, to = sorted(int(place) for place in random.integers(0, len(data), 2))
        match int(random.integers(0, 7)):
            case 0:
                data[at] = int(random.integers(0, 256))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : min(to, at + 2000)]
            case 3:
                data[at:at] = PIECES[int(random.integers(0, len(PIECES)))]
            case 4:
                del data[at : min(to, at + 50)]
            case 5:
                data[at : at + 4] = random.bytes(4)
            case 6:
                data[at:to] = data[at:to][::-1] if to - at < 200 else data[at:to]
    return bytes(data)


def check(folder, form, number, random):
    """Import one mutant; returns its content when it breaks a rule, with the reason."""
    content = mutate(form(SENT), random)
    path = folder / f"{number}.bin"
    path.write_bytes(content)
    options, name = ImportOptions(), ""
    if form is result_files.mapped_csv:
        (folder / "map.yaml").write_text(result_files.MAPPING)
        options, name = ImportOptions(label_map=read_label_map(folder / "map.yaml")), "table"
    out = folder / f"run-{number}"
    began = time.process_time()
    try:
        import_run([path], out, title="t", name="n", scenario_text="title: t\n", options=options, form=name)
    except DoorbusterError:
        assert not out.exists(), f"{number}: refused, but something was written"
    took_s = time.process_time() - began
    assert took_s < LIMIT_S, f"{form.__name__} {number} took {took_s:.1f} s"


def attack(folder, each, seed):
    tracemalloc.start()
    for place, form in enumerate(result_files.EVERY):
        random = np.random.default_rng([seed, place])
        for number in range(each):
            check(folder, form, f"{form.__name__}-{number}", random)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT_BYTES


def test_damaged_files_are_refused_or_read(tmp_path):
    attack(tmp_path, 4, 1)


@pytest.mark.truth
def test_two_thousand_damaged_files_are_refused_or_read(tmp_path):
    attack(tmp_path, 80, 2)
