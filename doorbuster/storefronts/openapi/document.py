"""An OpenAPI document: its operations with references resolved, its server and its security schemes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from doorbuster.errors import FileProblem, UsageError, problem_lines
from doorbuster.storefronts.openapi.api_files import ApiFiles

METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One operation. parameters: resolved, those of its path included. security: names of schemes."""

    method: str
    path: str
    name: str
    parameters: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any]
    responses: Mapping[str, Any]
    security: tuple[str, ...]


class ApiDocument:
    """A document that has been read. `origin` and `base_path` are those of its first server."""

    def __init__(self, files: ApiFiles, data: Mapping[str, Any], url: str) -> None:
        self._data, self.resolve = data, files.resolve
        place = urlsplit(url)
        self.origin = f"{place.scheme}://{place.netloc.lower()}"
        self.base_path = place.path.rstrip("/")

    def operations(self) -> Iterator[ApiOperation]:
        paths = self._data.get("paths")
        for path, raw in paths.items() if isinstance(paths, Mapping) else ():
            item = self.resolve(raw)
            if not isinstance(item, Mapping):
                continue
            for method in METHODS:
                one = self.resolve(item.get(method))
                if isinstance(one, Mapping):
                    yield self._operation(method.upper(), str(path), item, one)

    def scheme(self, name: str) -> Mapping[str, Any]:
        """A security scheme; empty if the document has none of this name."""
        components = self._data.get("components")
        schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
        found = self.resolve(schemes.get(name)) if isinstance(schemes, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _operation(
        self, method: str, path: str, item: Mapping[str, Any], one: Mapping[str, Any]
    ) -> ApiOperation:
        listed = [*_rows(item.get("parameters")), *_rows(one.get("parameters"))]
        parameters = {
            (str(found.get("in")), str(found.get("name"))): found
            for found in map(self.resolve, listed)
            if isinstance(found, Mapping)
        }
        body = self.resolve(one.get("requestBody"))
        responses = one.get("responses")
        security = one.get("security", self._data.get("security"))
        return ApiOperation(
            method,
            path,
            str(one.get("operationId") or ""),
            tuple(parameters.values()),
            body if isinstance(body, Mapping) else {},
            {str(status): one for status, one in responses.items()} if isinstance(responses, Mapping) else {},
            tuple(str(name) for row in _rows(security)[:1] if isinstance(row, Mapping) for name in row),
        )


def _rows(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def read_openapi(path: Path, url: str | None = None) -> ApiDocument:
    """The document in a YAML or JSON file, with the files in its folder that it refers to.

    Args: url: of the server, instead of that of the document; it completes a relative one.
    Raises: UsageError for what is not an OpenAPI 3 document, or has no server or operation.
    """
    files = ApiFiles(path)
    return _checked(files, files.data, url)


def _checked(files: ApiFiles, data: Any, url: str | None) -> ApiDocument:
    file = str(files.path)
    if not isinstance(data, Mapping) or not ({"openapi", "swagger"} & set(data)):
        raise UsageError(f"{file}:1:1: is not an OpenAPI document: it has no key openapi")
    version = str(data.get("openapi") or data.get("swagger"))
    if not version.startswith(("3.0", "3.1", "3.2")):
        raise UsageError(
            f"{file}:1:1: is of version {version[:20]}; versions 3.0 to 3.2 can be read: convert it first, "
            "e.g. with swagger2openapi"
        )
    problems = []
    server = _server_url(data)
    if url is not None:
        server = urljoin(f"{url.rstrip('/')}/", server.lstrip("/")) if "://" not in server else url
    if not server:
        way_out = 'add servers: [{url: "https://shop.example.com/api"}], or name it with --url'
        problems.append(
            FileProblem(file, 1, 1, "servers", "is missing, so the shop is not known", "", way_out)
        )
    elif urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).netloc:
        way_out = "name the shop with --url, e.g. --url https://shop.example.com"
        problems.append(FileProblem(file, 1, 1, "servers", "must name a host", server, way_out))
    paths = data.get("paths")
    if not isinstance(paths, Mapping) or not paths:
        problems.append(FileProblem(file, 1, 1, "paths", "has no operation, so there is nothing to draft"))
    if problems:
        raise UsageError(problem_lines(problems))
    return ApiDocument(files, data, server)


def _server_url(data: Mapping[str, Any]) -> str:
    """The address of the first server, with the defaults of its variables; empty if there is none."""
    servers = _rows(data.get("servers"))
    first = servers[0] if servers and isinstance(servers[0], Mapping) else {}
    found = str(first.get("url") or "")
    variables = first.get("variables")
    for name, variable in variables.items() if isinstance(variables, Mapping) else ():
        if isinstance(variable, Mapping):
            found = found.replace(f"{{{name}}}", str(variable.get("default", "")))
    return found
