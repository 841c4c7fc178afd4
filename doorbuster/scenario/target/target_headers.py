"""Headers of every request to the target, such as an API key; secret values come from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from doorbuster.errors import UsageError
from doorbuster.output.secret_masking import is_secret
from doorbuster.scenario.parsing.diagnostics import KeyIssue, as_validation_error, invalid, preview
from doorbuster.scenario.parsing.values import is_number, value_type

RUN_HEADER = "X-Doorbuster-Run"  # sent with every request, so that logs can tell test traffic apart
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
SET_BY_CLIENT = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "cookie", "content-type", "expect", "te",
    "trailer", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", RUN_HEADER.lower(),
})  # fmt: skip
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True)
class HeaderValues:
    """Headers with the values of the environment, which are the `secrets`."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def to_wire(self) -> dict[str, Any]:
        """For the workers of a run."""
        return {"values": dict(self.values), "secrets": list(self.secrets)}


NO_HEADERS = HeaderValues()


@value_type({"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "number"}]}})
def parse_target_headers(raw: object) -> dict[str, str]:
    """Headers by name; `${NAME}` in a value stands for an environment variable."""
    if not isinstance(raw, Mapping):
        rule = 'must be headers by name, such as {X-Waf-Bypass: "${WAF_BYPASS}"}'
        raise invalid(rule, got=preview(raw))
    issues: list[KeyIssue] = []
    headers: dict[str, str] = {}
    for given, value in raw.items():
        name, text = str(given), str(value) if is_number(value) else value
        if not HEADER_NAME.fullmatch(name):
            issues.append(KeyIssue((name,), "must be the name of an HTTP header", at="key"))
        elif name.lower() in SET_BY_CLIENT:
            issues.append(KeyIssue((name,), "is a header that the HTTP client sets itself", at="key"))
        elif name.lower() in map(str.lower, headers):
            issues.append(KeyIssue((name,), "is given twice", at="key"))
        elif problem := _problem(name, text):
            issues.append(KeyIssue((name,), *problem))
        headers[name] = str(text)
    if issues:
        raise as_validation_error("headers", issues, raw)
    return headers


def _problem(name: str, text: object) -> tuple[str, str, str] | None:
    """Rule, value found and way out if the text cannot be the value of this header."""
    if not isinstance(text, str):
        return "must be text", preview(text), "put it in quotes"
    rest = _VARIABLE.sub("", text)
    if "${" in rest:
        return "has a ${ without the name of an environment variable and }", "", "write ${WAF_BYPASS}"
    if _UNPRINTABLE.search(text):
        return "must be one line of printable characters", preview(text), ""
    if is_secret(name) and rest == text:  # not quoted, because scenarios are shared and kept in run files
        return (
            "must take its value from the environment",
            "a text",
            "write ${NAME}, and set the variable NAME",
        )
    return None


def header_variables(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The environment variables that these headers need."""
    return tuple(dict.fromkeys(name for text in headers.values() for name in _VARIABLE.findall(text)))


def fill_headers(headers: Mapping[str, str], environment: Mapping[str, str]) -> HeaderValues:
    """The headers with the values of `environment`.

    Raises: UsageError with every variable that is not set, or that has a line break.
    """
    names = header_variables(headers)
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise UsageError(
            f"target.headers needs the environment variable{'s' * (len(missing) > 1)} {', '.join(missing)}, "
            f"which {'are' if len(missing) > 1 else 'is'} not set; set "
            f"{'them' if len(missing) > 1 else 'it'} before the command: export {missing[0]}=…"
        )
    odd = [name for name in names if _UNPRINTABLE.search(environment[name].strip())]
    if odd:
        raise UsageError(
            f"the environment variable {', '.join(odd)} has a line break or another character that no header "
            "may have; set it to one line of printable characters"
        )
    values = {name: environment[name].strip() for name in names}
    filled = {name: _VARIABLE.sub(lambda found: values[found[1]], text) for name, text in headers.items()}
    return HeaderValues(filled, tuple(values.values()))
