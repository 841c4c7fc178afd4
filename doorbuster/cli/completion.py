"""`doorbuster completion`: the script with which a shell completes commands, options and scenario names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.bundled import search_path
from doorbuster.output import say_lines

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the completion script of a SHELL: commands, options, scenario names and run folders.

    \b
    Example: doorbuster completion bash > ~/.local/share/bash-completion/completions/doorbuster
             doorbuster completion zsh > "${fpath[1]}/_doorbuster"
             doorbuster completion fish > ~/.config/fish/completions/doorbuster.fish
    """
    from click.shell_completion import get_completion_class

    from doorbuster.cli import COMPLETION_VARIABLE, doorbuster

    made = get_completion_class(shell)
    assert made is not None, "click knows every shell in SHELLS"
    template = made(doorbuster, {}, "doorbuster", COMPLETION_VARIABLE)
    say_lines((made.source_template % template.source_vars()).strip("\n"))
    return 0


def add_completions(command: click.Command) -> click.Command:
    """The command, whose arguments for scenarios, locustfiles and runs complete their names."""
    for parameter in command.params:
        completer = _COMPLETERS.get(parameter.name or "")
        if completer is not None and parameter._custom_shell_complete is None:
            parameter._custom_shell_complete = completer
    return command


def _scenarios(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return [*_files(typed), *_named("scenarios", ".yaml", typed)]


def _locustfiles(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return [*_files(typed), *_named("locustfiles", ".py", typed, suffix=".py")]


def _runs(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Folders, and those below reports/ that hold a run."""
    from click.shell_completion import CompletionItem

    found = sorted(path.parent.as_posix() for path in Path("reports").glob("*/run.sqlite"))
    return [
        CompletionItem(typed, type="dir"),
        *(CompletionItem(name) for name in found if name.startswith(typed)),
    ]


def _files(typed: str) -> list[CompletionItem]:
    """Leave paths to the shell; it comes first, because bash forgets what stands before it."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def _named(folder: str, ending: str, typed: str, *, suffix: str = "") -> list[CompletionItem]:
    """The bundled files of a kind, and those of the project, by name."""
    from click.shell_completion import CompletionItem

    found = {path.stem for place in search_path(folder) for path in place.glob(f"[!_]*{ending}")}
    return [CompletionItem(f"{name}{suffix}") for name in sorted(found) if name.startswith(typed)]


_COMPLETERS: dict[str, Completer] = {
    "scenario": _scenarios,
    "scenario_name": _scenarios,
    "locustfile": _locustfiles,
    "run": _runs,
    "runs": _runs,
}
