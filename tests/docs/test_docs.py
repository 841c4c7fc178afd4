"""Documentation: every link leads somewhere, every command parses, every scenario snippet is read."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import click
import pytest
import yaml

from doorbuster.cli import VERBS, doorbuster
from doorbuster.importers import read_label_map
from doorbuster.importers.registry import FORMATS
from doorbuster.scenario import read_locust_scenario, read_scenario

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INPUTS = (".csv", ".har", ".py", ".jtl", ".yaml")  # files that an example reads and the reader has
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language on a page, also those within a list."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return [dedent(text) for _, text in found]


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `doorbuster` command in the shell blocks of a page."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    lines = [line for line in lines if re.match(r"\S*doorbuster ", line)]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    dead = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(f"{target}#{anchor}")
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_is_understood(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    group = click.Context(doorbuster)
    for args in commands(page):
        for file in (arg for arg in args if arg.endswith(INPUTS)):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        assert args[0] in VERBS or args[0].startswith("--"), args
        if args[0] in VERBS:
            command = doorbuster.get_command(group, args[0])
            command.make_context(args[0], args[1:], parent=group)


INLINE = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}: {text[:60]}")
    for page in PAGES
    for text in sorted(
        set(re.findall(r"`(doorbuster (?!VERB)[a-z][^`]*)`", page.read_text(encoding="utf-8")))
    )
]


@pytest.mark.parametrize("text", INLINE)
def test_every_command_in_a_sentence_has_these_subcommands_options_and_arguments(text):
    """Values are placeholders, and what the sentence does not need is left out."""
    verb, *args = shlex.split(text.partition(" | ")[0])[1:]
    assert verb in VERBS
    command = doorbuster.get_command(click.Context(doorbuster), verb)
    if isinstance(command, click.Group):
        if not args:
            return
        _, command, args = command.resolve_command(click.Context(command), args)
    with suppress(click.MissingParameter, click.BadParameter, click.BadOptionUsage, click.exceptions.Exit):
        command.make_context(verb, args)


def test_every_import_format_is_in_the_how_to():
    text = (ROOT / "docs" / "how-to" / "import.md").read_text(encoding="utf-8")
    assert [form.name for form in FORMATS if f"`{form.name}`" not in text] == []


def test_every_page_is_on_the_map():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#\s]+)", text)) | {"index.md"}
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.name != "README.md"}
    assert {page for page in pages if not page.startswith("adr/")} - linked == set()


SNIPPETS = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"), 1)
]


@pytest.mark.parametrize("text", SNIPPETS)
def test_every_yaml_snippet_is_read(text, tmp_path):
    keys = set(yaml.safe_load(text))
    if keys & {"labels", "columns"}:
        (tmp_path / "map.yaml").write_text(text)
        assert read_label_map(tmp_path / "map.yaml")
        return
    if "locust" in keys or keys == {"title", "thresholds"}:
        assert read_locust_scenario(text)
        return
    smoke = yaml.safe_load((ROOT / "scenarios" / "smoke.yaml").read_text(encoding="utf-8"))
    assert read_scenario(yaml.safe_dump({**smoke, **yaml.safe_load(text)}))
