"""`doorbuster init`: a project folder of your own, or a starter driver for your shop."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from math import log
from pathlib import Path
from statistics import median, stdev
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click

from doorbuster.cli.options import DEFAULT_LOCUSTFILE, file_option
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.storefronts.har.driver_draft import DriverDraft
    from doorbuster.storefronts.har.recorded_request import RecordedVisit

STARTER_URL = "http://127.0.0.1:8004"
_STARTER_JOURNEYS = "journeys: {browse: 40, search: 20, buy: 40}"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--storefront",
    metavar="NAME",
    help='Write a starter driver, locustfile and scenario for your own shop of this name, e.g. "my-shop".',
)
@file_option(
    "--har", "Draft the driver from this browser recording (HAR 1.2) of one visit that ends with an order."
)
@file_option(
    "--openapi",
    "Draft the driver from this description of the shop's API (OpenAPI 3.0 to 3.2, YAML or JSON).",
)
@click.option(
    "--url",
    metavar="URL",
    help="Address of the shop, e.g. https://shop.example.com. Default: the first server of --openapi.",
)
@click.option(
    "--api",
    is_flag=True,
    help="Start from a driver for a shop with a JSON or GraphQL API instead of HTML pages.",
)
def command(
    folder: Path, storefront: str | None, har: Path | None, openapi: Path | None, url: str | None, api: bool
) -> None:
    """Create a project in FOLDER with copies of the bundled scenarios, locustfiles and analysis.

    With --storefront, write a starter driver for your own shop instead. Existing files are not changed.
    Default of FOLDER: the current folder.

    \b
    Example: doorbuster init my-shop-peaks
    Example: doorbuster init --storefront my-shop
    """
    from doorbuster.errors import UsageError

    given = {"--har": har, "--openapi": openapi, "--api": api or None}
    chosen = [option for option, value in given.items() if value is not None]
    if chosen and storefront is None:
        raise UsageError(f"{chosen[0]} requires a name for the driver; add e.g. --storefront my-shop")
    if len(chosen) > 1:
        reason = "a recording or a description shows what the shop speaks"
        raise UsageError(f"{' and '.join(chosen)} cannot be combined: {reason}")
    if url is not None and openapi is None:
        raise UsageError("--url has no effect without --openapi; leave it out")
    try:
        if storefront is None:
            _lay_out(folder)
        else:
            visit = _recorded(har) if har is not None else _described(openapi, url) if openapi else None
            is_api = api or openapi is not None
            _write_starter(
                folder, storefront, visit, template=f"{'api_' if is_api else ''}driver.py.template"
            )
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}; choose another folder") from error


def _lay_out(folder: Path) -> None:
    from doorbuster.bundled import shipped
    from doorbuster.cli.program_name import program_name

    written, kept = 0, 0
    for name in ("scenarios", "locustfiles", "analysis"):
        for source in sorted(shipped(name).rglob("*")):
            if not source.is_file() or "__pycache__" in source.parts:
                continue
            copy = folder / name / source.relative_to(shipped(name))
            if copy.exists():
                kept += 1
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            written += 1
    (folder / "reports").mkdir(parents=True, exist_ok=True)
    say(f"{folder}: wrote {written} files" + (f", kept {kept} existing files" if kept else ""))
    say(f"next:    {'' if folder == Path() else f'cd {folder} && '}{program_name()} run smoke")


class _Names(NamedTuple):
    """One shop's name as it is written in YAML, as a module and as a class."""

    plain: str
    module: str
    kind: str

    def put_into(self, template: str) -> str:
        text = template.replace("my_shop", self.module).replace("my-shop", self.plain)
        return text.replace("MyShop", self.kind)


def _write_starter(folder: Path, storefront: str, visit: RecordedVisit | None, *, template: str) -> None:
    """Raises: UsageError for a name that no scenario could use."""
    from importlib.resources import files

    from doorbuster.cli.program_name import program_name
    from doorbuster.errors import UsageError
    from doorbuster.storefronts.har.driver_draft import draft_driver

    if not _NAME.fullmatch(storefront):
        raise UsageError(
            f"--storefront: must be lower-case letters, digits, - and _, e.g. my-shop (got {storefront})"
        )
    module = storefront.replace("-", "_")
    if f"_{module}" in sys.stdlib_module_names:
        raise UsageError(f"--storefront: _{module}.py would hide a module of Python; use {storefront}-shop")
    kind = "".join(word.capitalize() for word in module.split("_"))
    names = _Names(storefront, module, kind if kind.endswith("Shop") else f"{kind}Shop")
    starter = files("doorbuster.cli") / "starter"
    texts = {
        path: names.put_into((starter / name).read_text(encoding="utf-8"))
        for path, name in (
            (folder / "locustfiles" / f"_{module}.py", template),
            (folder / "locustfiles" / f"{module}_peak.py", "peak.py.template"),
            (folder / "scenarios" / f"{storefront}-smoke.yaml", "smoke.yaml.template"),
        )
    }
    driver, locustfile, scenario = texts
    url = STARTER_URL if visit is None else visit.origin
    draft = None if visit is None else draft_driver(texts[driver], visit)
    if visit is not None and draft is not None:
        texts[driver] = draft.text
        texts[scenario] = _as_recorded(texts[scenario], visit, draft)
    for path, text in texts.items():
        if path.exists():
            say(f"{path}: exists, not changed")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        say(f"{path}: written")
    if draft is not None:
        _print_draft(draft)
    if visit is not None and visit.source == "recording" and visit.lacks_credentials:
        say("note: the recording has no cookies and no Authorization headers (Chrome's plain export): the")
        say("driver gets cookies of its own; if calls are answered with 401, export with sensitive data")
    say(f"next:    {program_name()} probe {url} --locustfile {driver}")
    say(f"then:    {program_name()} run {scenario} --locustfile {DEFAULT_LOCUSTFILE},{locustfile}")


def _print_draft(draft: DriverDraft) -> None:
    """What the draft has of the recording, what it lacks, and why."""
    from doorbuster.storefronts.har.source_code import comment

    say(f"steps drafted: {', '.join(draft.steps) or 'none'}")
    for reason, examples in draft.left_out_by_reason().items():
        more = f" and {len(examples) - 1} more" if len(examples) > 1 else ""
        say(f"left out: {comment(examples[0], 80)}{more}: {reason}")
    for note in draft.to_do:
        say(f"to do: {note}")
    if draft.secrets:
        say(f"set before a run: {', '.join(draft.secrets)} (secrets are written in no file)")


def _recorded(har: Path) -> RecordedVisit:
    """Raises: UsageError if it is not a recording of a visit."""
    from doorbuster.errors import UsageError
    from doorbuster.storefronts.har.recording import MAX_RECORDING_BYTES, read_har

    try:
        if har.stat().st_size > MAX_RECORDING_BYTES:
            raise ValueError("is too large; record one visit only, and filter out images")
        return read_har(har.read_bytes())
    except ValueError as error:
        raise UsageError(f"{har}: {error}; export it again from the browser's network panel") from error


def _described(openapi: Path, url: str | None) -> RecordedVisit:
    """The visit that an API's description implies.

    Raises: UsageError if it is not a description that can be used.
    """
    from doorbuster.storefronts.openapi.described_visit import described_visit
    from doorbuster.storefronts.openapi.document import read_openapi

    return described_visit(read_openapi(openapi, url))


def _as_recorded(scenario: str, visit: RecordedVisit, draft: DriverDraft) -> str:
    """The starter scenario with the recorded addresses, the journeys that the driver has steps for, and the
    recorded pauses as a comment.
    """
    text = scenario.replace(STARTER_URL, visit.origin)
    hosts = dict.fromkeys(urlsplit(origin).hostname for origin in (visit.origin, *visit.other_origins))
    text = text.replace("allow: [127.0.0.1]", f"allow: [{', '.join(map(str, hosts))}]")
    text = text.replace(
        _STARTER_JOURNEYS, f"journeys: {{{', '.join(_journeys(visit, draft.steps)) or 'browse: 100'}}}"
    )
    if not visit.pauses_s:
        return text
    pause_s, sigma = _pauses(visit.pauses_s)
    remark = f"# pauses in the recording: {{lognormal: {{median: {pause_s:.1f}s, sigma: {sigma:.2g}}}}}"
    return text.replace("# real customers read for about 30 s", remark)


def _pauses(pauses_s: Sequence[float]) -> tuple[float, float]:
    """Median and log standard deviation of the recorded pauses; of fewer than five pauses the latter is 1."""
    logs = [log(max(pause_s, 0.1)) for pause_s in pauses_s]
    sigma = min(max(stdev(logs), 0.1), 2.0) if len(logs) >= 5 else 1.0
    return max(median(pauses_s), 0.1), sigma


def _journeys(visit: RecordedVisit, steps: Sequence[str]) -> list[str]:
    """Those that the driver has all steps for; from a description, a home page is made of a listing."""
    needed = {
        "browse": ("category",),
        "search": ("search",),
        "buy": ("category", "add_to_basket", "checkout"),
    }
    weights = {"browse": 40, "search": 20, "buy": 40}
    has_listing = visit.source == "description" and {"category", "search"} & set(steps)
    known = {*steps, "home"} if has_listing else set(steps)
    return [
        f"{journey}: {weight}"
        for journey, weight in weights.items()
        if {"home", "product", *needed[journey]} <= known
    ]
