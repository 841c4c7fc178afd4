"""The sample of a log from which its pages are learnt: requests of people in evenly spread places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from doorbuster.access_logs.log_pieces import LogPiece, is_compressed, plain_blocks
from doorbuster.access_logs.log_requests import LogFormat
from doorbuster.access_logs.page_paths import SampledRequest, split_request
from doorbuster.access_logs.visitors import IS_PROGRAM, VisitorHash
from doorbuster.importers.input_file import InputFile

SAMPLE_BYTES = 1 << 20
SAMPLE_PLACES = 8
SAMPLED_FILES = 24


def sample_requests(files: Sequence[Path], form: LogFormat, key: bytes) -> list[SampledRequest]:
    """Requests of people in evenly spread places of the log."""
    visitor_hash = VisitorHash(key, has_agents=form.has_agents)
    chosen = files if len(files) <= SAMPLED_FILES else files[:: len(files) // SAMPLED_FILES + 1]
    found = []
    for path in chosen:
        for content in _sample_blocks(path, max(1, SAMPLE_PLACES // len(chosen))):
            block = form.parse(content)
            people = zip(block.addresses, block.agents, block.cookies, strict=True)
            for request, who, time_s in zip(block.requests, people, block.time_s.tolist(), strict=True):
                visitor = visitor_hash(*who)
                if not visitor & IS_PROGRAM:
                    found.append(SampledRequest(*split_request(request), visitor, time_s))
    return found


def _sample_blocks(path: Path, places: int) -> Iterator[bytes]:
    if is_compressed(path):
        with InputFile(path) as file:
            yield from islice(file.line_blocks(), 2)  # the first is short
        return
    size = path.stat().st_size
    for place in range(places):
        start = size * place // places
        end = min(start + SAMPLE_BYTES, size * (place + 1) // places)
        yield from plain_blocks(LogPiece(path, start, end))
