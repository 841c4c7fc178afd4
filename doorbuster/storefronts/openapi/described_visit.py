"""A visit as an API's description implies it: one request for each operation, in the order of a purchase.

The draft of a driver is made from it as from a recorded visit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doorbuster.storefronts.har.recorded_request import Answer, RecordedRequest, RecordedVisit
from doorbuster.storefronts.har.request_body import RequestBody
from doorbuster.storefronts.har.vocabulary import TERMS
from doorbuster.storefronts.openapi.document import ApiDocument, ApiOperation
from doorbuster.storefronts.openapi.example_values import ExampleValues
from doorbuster.storefronts.openapi.purchase_order import PARAMETER, filled_path, purchase_order

_PLACEHOLDER = "set-by-the-environment-0"
_SUCCESS = ("200", "201", "202", "204", "2XX", "default")


def described_visit(document: ApiDocument) -> RecordedVisit:
    """The visit. Identifiers are followed: operations that answer with one come before those that need it."""
    operations = purchase_order(document)
    names = {name for operation in operations for name in PARAMETER.findall(operation.path)}
    values = ExampleValues(document.resolve, names)
    requests = tuple(
        _request(number, operation, document, values) for number, operation in enumerate(operations)
    )
    return RecordedVisit(document.origin, requests, (), source="description", invented=values.invented)


def _request(
    number: int, operation: ApiOperation, document: ApiDocument, values: ExampleValues
) -> RecordedRequest:
    named: dict[str, str] = {}
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    for parameter in operation.parameters:
        name, place = str(parameter.get("name")), parameter.get("in")
        if place == "path":
            named[name] = str(values.of_parameter(parameter, _word_before(operation.path, name)))
        elif place == "query" and (parameter.get("required") or name.lower() in TERMS):
            query.append((name, _text(values.of_parameter(parameter, ""))))
        elif place == "header" and parameter.get("required"):
            headers[name.lower()] = _text(values.of_parameter(parameter, ""))
    for name in PARAMETER.findall(operation.path):
        if name not in named:
            named[name] = str(
                values.of_parameter({"name": name, "in": "path"}, _word_before(operation.path, name))
            )
    _add_security(operation, document, headers, query)
    thing = _thing(operation.path)
    kind, body = values.of_content(operation.body.get("content"), thing, sent=True)
    status, answer = _answer(operation, document, values, thing)
    return RecordedRequest(
        number=number,
        method=operation.method,
        origin=document.origin,
        path=filled_path(document, operation, named),
        query=tuple(query),
        body=_body(kind, body),
        headers=headers,
        answer=Answer(status, "application/json", "" if answer is None else json.dumps(answer, default=str)),
        at_unix_s=float(number),
        is_page=False,
    )


def _add_security(
    operation: ApiOperation, document: ApiDocument, headers: dict[str, str], query: list[tuple[str, str]]
) -> None:
    """Placeholders of secrets, which the draft turns into environment variables."""
    for name in operation.security:
        scheme = document.scheme(name)
        if scheme.get("type") == "apiKey" and scheme.get("in") == "query":
            query.append((str(scheme.get("name")), _PLACEHOLDER))
        elif scheme.get("type") == "apiKey" and scheme.get("in") == "header":
            headers[str(scheme.get("name")).lower()] = _PLACEHOLDER
        elif scheme.get("type") == "http" and str(scheme.get("scheme")).lower() == "basic":
            headers["authorization"] = f"Basic {_PLACEHOLDER}"
        elif scheme.get("type") in ("http", "oauth2", "openIdConnect"):
            headers["authorization"] = f"Bearer {_PLACEHOLDER}"


def _answer(
    operation: ApiOperation, document: ApiDocument, values: ExampleValues, thing: str
) -> tuple[int, Any]:
    for status in _SUCCESS:
        if status in operation.responses:
            found = document.resolve(operation.responses[status])
            content = found.get("content") if isinstance(found, Mapping) else None
            return int(status) if status.isdigit() else 200, values.of_content(content, thing)[1]
    return 200, None


def _body(kind: str, value: Any) -> RequestBody:
    if value is None:
        return RequestBody()
    if "urlencoded" in kind and isinstance(value, dict):
        return RequestBody("form", tuple((str(key), _text(inner)) for key, inner in value.items()))
    return RequestBody("json", value) if "json" in kind else RequestBody("text", _text(value), kind)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _word_before(path: str, name: str) -> str:
    """The segment before a parameter, such as carts before {cartId}."""
    before = path.partition(f"{{{name}}}")[0].rstrip("/")
    word = before.rpartition("/")[2]
    return "" if word.startswith("{") else word


def _thing(path: str) -> str:
    """What an operation is about: the last word of its path, in the singular."""
    words = [part for part in path.split("/") if part and not part.startswith("{")]
    return words[-1].rstrip("s") if words else ""
