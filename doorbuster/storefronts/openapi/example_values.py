"""Values for requests and answers of an API: examples of its document, else values that fit its schemas.

Identifiers of one kind of thing have one value wherever they appear, such as the cart that an answer names
and a later path contains, so that the draft follows them as it follows those of a recorded visit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from doorbuster.storefronts.har.vocabulary import BASKET, CATEGORY, ORDER, PRODUCT

MAX_DEPTH, MAX_VALUES, MAX_TEXT = 12, 100_000, 200
_ITEMS = 3
_IDENTIFIER = re.compile(
    r"^(?:id|ids|uuid|guid|sku|slug|code|key|token|ref|reference|number|handle)$|(?<=[a-z0-9])(?:Id|Uuid|Sku|Slug|"
    r"Code|Key|Token|Ref|Number)$|_(?:id|uuid|sku|slug|code|key|token|ref|number)$"
)
_SUFFIX = re.compile(
    r"(?:_|-)?(?:id|ids|uuid|guid|slug|code|key|token|ref|reference|number|handle)$", re.IGNORECASE
)
_TEXTS = (
    (re.compile(r"mail", re.IGNORECASE), "test.customer@example.com"),
    (re.compile(r"post.?code|zip", re.IGNORECASE), "W1A 1AA"),
    (re.compile(r"country", re.IGNORECASE), "GB"),
    (re.compile(r"city|town", re.IGNORECASE), "London"),
    (re.compile(r"street|address|line.?1", re.IGNORECASE), "1 Test Street"),
    (re.compile(r"phone|mobile", re.IGNORECASE), "+441632960000"),
    (re.compile(r"currency", re.IGNORECASE), "GBP"),
    (re.compile(r"name", re.IGNORECASE), "Test Customer"),
    (re.compile(r"^(q|query|term|search|text|keyword)s?$", re.IGNORECASE), "lamp"),
)
_FORMATS = {
    "email": "test.customer@example.com", "date": "2026-12-01", "date-time": "2026-12-01T12:00:00Z",
    "uri": "https://shop.example.com/", "uuid": "7f1c9a52-0000-4000-8000-000000000001",
}  # fmt: skip
_PRICE = re.compile(r"price|total|amount|cost", re.IGNORECASE)
_COUNT = re.compile(r"quantity|qty|count", re.IGNORECASE)
_MISSING = object()


class ExampleValues:
    """Makes values of schemas.

    Args: resolve: follows references. names: of path parameters, which identify things wherever they appear.
    """

    def __init__(self, resolve: Callable[[Any], Any], names: Iterable[str]) -> None:
        self._resolve, self._names = resolve, frozenset(names)
        self._known: dict[str, Any] = {}
        self._room = MAX_VALUES
        self._sent = False

    @property
    def invented(self) -> tuple[str, ...]:
        """The identifiers that the document has no example of."""
        return tuple(str(value) for what, value in self._known.items() if value in (
            _invented(what, "string"), _invented(what, "integer")))  # fmt: skip

    def of_parameter(self, parameter: Mapping[str, Any], thing: str) -> Any:
        """The value of a path or query parameter; `thing`: the word before it in the path."""
        name, schema = str(parameter.get("name")), self._resolve(parameter.get("schema")) or {}
        kind = kind_of_thing(name, thing)
        if kind in self._known:
            return self._known[kind]
        stated = _stated_example(parameter, self._resolve)
        if parameter.get("in") == "path" or _IDENTIFIER.search(name):
            shape = _type_of(schema) if isinstance(schema, Mapping) else "string"
            return self._known.setdefault(kind, _invented(kind, shape) if stated is _MISSING else stated)
        return self.of_schema(schema, name, thing) if stated is _MISSING else stated

    def of_content(self, content: Any, thing: str, *, sent: bool = False) -> tuple[str, Any]:
        """Media type and value of a body or an answer; JSON if there is any.

        Args: sent: a body that customers send, with what the shop requires or has an example of.
        """
        self._sent = sent
        if not isinstance(content, Mapping) or not content:
            return "", None
        kind = next((kind for kind in content if "json" in str(kind)), next(iter(content)))
        media = self._resolve(content[kind])
        if not isinstance(media, Mapping):
            return str(kind), None
        stated = _stated_example(media, self._resolve)
        if stated is not _MISSING:
            return str(kind), self._with_known(stated, thing)
        return str(kind), self.of_schema(media.get("schema"), "", thing)

    def of_schema(self, raw: Any, name: str, thing: str, depth: int = 0, item: int = 0) -> Any:
        """A value that fits a schema. Args: name: of the property; thing: what the object around it is."""
        schema = _title(raw, self._resolve(raw))
        self._room -= 1
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH or self._room < 0:
            return None
        thing = schema.get("x-thing") or thing
        stated = _stated_example(schema, self._resolve)
        if stated is not _MISSING and not self._identifies(name):
            return self._with_known(stated, thing)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        merged = self._merged(schema)
        kind = _type_of(merged)
        if kind == "object":
            properties = _fields(merged.get("properties"))
            required = set(map(str, _rows(merged.get("required"))))
            return {
                str(key): self.of_schema(inner, str(key), thing, depth + 1, item)
                for key, inner in properties.items() if self._is_shown(str(key), inner, required)
            }  # fmt: skip
        if kind == "array":
            inner_thing = _singular(name) or thing
            return [self.of_schema(merged.get("items"), "", inner_thing, depth + 1, n) for n in range(_ITEMS)]
        return self._plain(merged, kind, name, thing, item, stated)

    def _is_shown(self, name: str, raw: Any, required: set[str]) -> bool:
        """Whether a property is sent, or answered: what only the other side writes is left out, and of what
        is sent, what is not required where a schema says what is, unless it has an example.
        """
        schema = self._resolve(raw)
        if not isinstance(schema, Mapping):
            return True
        if schema.get("readOnly" if self._sent else "writeOnly") is True:
            return False
        is_optional = self._sent and required and name not in required
        return not is_optional or _stated_example(schema, self._resolve) is not _MISSING

    def _plain(
        self, schema: Mapping[str, Any], kind: str, name: str, thing: str, item: int, stated: Any
    ) -> Any:
        if self._identifies(name):
            what = kind_of_thing(name, thing)
            value = self._known.get(what, _MISSING)
            if value is _MISSING:
                value = stated if stated is not _MISSING else _invented(what, kind)
                self._known[what] = value
            return value if not item else _other(value, item)
        if "default" in schema:
            return schema["default"]
        if kind == "boolean":
            return True
        if kind in ("integer", "number"):
            usual = 1999 if _PRICE.search(name) and kind == "integer" else 19.99 if _PRICE.search(name) else 1
            low = schema.get("minimum")
            usual = 1 if _COUNT.search(name) else usual
            return max(usual, low) if isinstance(low, int | float) and not isinstance(low, bool) else usual
        text = _FORMATS.get(str(schema.get("format") or "")) or next(
            (value for pattern, value in _TEXTS if pattern.search(name)), "text"
        )
        shortest = schema.get("minLength")
        return text.ljust(min(shortest, MAX_TEXT), "x") if isinstance(shortest, int) else text

    def _identifies(self, name: str) -> bool:
        return name in self._names or bool(_IDENTIFIER.search(name))

    def _merged(self, schema: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
        """A schema with the parts of allOf, and the first choice of oneOf or anyOf."""
        if depth > MAX_DEPTH:
            return schema
        parts = [self._resolve(one) for one in _rows(schema.get("allOf"))]
        parts += [self._resolve(one) for key in ("oneOf", "anyOf") for one in _rows(schema.get(key))[:1]]
        merged: dict[str, Any] = {}
        for part in (*parts, schema):
            if not isinstance(part, Mapping):
                continue
            inner = part if part is schema else self._merged(part, depth + 1)
            properties = {**_fields(merged.get("properties")), **_fields(inner.get("properties"))}
            merged |= dict(inner)
            if properties:
                merged["properties"] = properties
        return merged

    def _with_known(self, value: Any, thing: str, depth: int = 0) -> Any:
        """An example of the document, whose identifiers are remembered, or replaced by known ones."""
        if depth > MAX_DEPTH:
            return value
        if isinstance(value, Mapping):
            return {
                str(key): self._example_field(str(key), inner, thing, depth) for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._with_known(inner, thing, depth + 1) for inner in value]
        return value

    def _example_field(self, key: str, value: Any, thing: str, depth: int) -> Any:
        if isinstance(value, Mapping | list):
            return self._with_known(value, _singular(key) or thing, depth + 1)
        if self._identifies(key) and isinstance(value, str | int):
            self._known.setdefault(kind_of_thing(key, thing), value)
        return value


def kind_of_thing(name: str, thing: str) -> str:
    """What an identifier names: "cart" for cartId, and for id or token of a cart."""
    bare = _SUFFIX.sub("", name).lower().rstrip("_-") or _singular(thing).lower()
    words = {bare, f"{bare}s"}
    if bare in ("sku", "variant", "article", "merchandise") or words & (
        PRODUCT - {"p", "catalog", "catalogue"}
    ):
        return "product"
    if words & BASKET:
        return "cart"
    if words & (CATEGORY - {"c", "shop"}):
        return "category"
    return "order" if words & ORDER else bare


def _stated_example(holder: Mapping[str, Any], resolve: Callable[[Any], Any]) -> Any:
    """The first example of a parameter, a media type or a schema."""
    if holder.get("example") is not None:
        return holder["example"]
    examples = holder.get("examples")
    if isinstance(examples, Mapping):
        first = resolve(next(iter(examples.values()), None))
        return first["value"] if isinstance(first, Mapping) and "value" in first else _MISSING
    return examples[0] if isinstance(examples, list) and examples else _MISSING


def _title(raw: Any, schema: Any) -> Any:
    """A schema that knows what it is of, from the reference to it or the title of an object.

    Titles of other values repeat the name of their property, as generators write them: "Id".
    """
    if not isinstance(schema, Mapping) or "x-thing" in schema:
        return schema
    reference = raw.get("$ref") if isinstance(raw, Mapping) else None
    name = (
        str(reference).rpartition("/")[2]
        if reference
        else str(schema.get("title") or "")
        if "properties" in schema
        else ""
    )
    found = next(
        (word for word in re.findall(r"[A-Z]?[a-z]+", name) if word.lower() not in ("list", "page")), ""
    )
    return {**schema, "x-thing": found.lower()} if found else schema


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _fields(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "string")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _invented(what: str, kind: str) -> Any:
    number = 100 + sum(map(ord, what)) % 900
    return 471_000 + number if kind in ("integer", "number") else f"{what[:10] or 'item'}-{number}"


def _other(value: Any, item: int) -> Any:
    return value + item if isinstance(value, int) else f"{value}{item}"


def _singular(word: str) -> str:
    lower = word.lower()
    if lower.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if lower.endswith("s") and not lower.endswith("ss") else word
