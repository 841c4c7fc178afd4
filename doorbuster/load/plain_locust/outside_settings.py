"""Keeps Locust's settings from elsewhere out of doorbuster's commands.

A variable such as LOCUST_WORKER or a `locust.conf` in some folder could change the mode, the target or the
confirmations of a run that the command line describes completely. Plain `locust` still reads them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from locust import argument_parser


def ignore_outside_settings(environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Remove Locust's variables and do without its configuration files; returns what there was of them."""
    parser = argument_parser.get_empty_argument_parser(default_config_files=())
    argument_parser.setup_parser_arguments(parser)
    variables = {action.env_var for action in parser._actions if getattr(action, "env_var", None)}
    found = [name for name in sorted(variables & environ.keys()) if environ.pop(name)]
    found += [name for name in argument_parser.DEFAULT_CONFIG_FILES if _configures_locust(name)]
    argument_parser.get_empty_argument_parser.__defaults__ = (True, ())
    argument_parser.get_parser.__defaults__ = ((),)
    return tuple(found)


def _configures_locust(name: str) -> bool:
    path = Path(name).expanduser()
    if not path.is_file():
        return False
    return path.suffix != ".toml" or "[tool.locust" in path.read_text(encoding="utf-8", errors="replace")
