"""The shop to load: the embedded shop, or a URL."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from doorbuster.scenario.customers.assets import ASSETS
from doorbuster.scenario.parsing.diagnostics import KeyIssue, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import choice, value_type
from doorbuster.scenario.target.content_checks import ContentRule
from doorbuster.scenario.target.embedded_shop import Shop
from doorbuster.scenario.target.target_headers import HEADER_NAME, SET_BY_CLIENT, parse_target_headers
from doorbuster.units import CURRENCIES, POUND, Currency

STOREFRONTS = ("reference", "vendure", "oscar")  # a test compares them with doorbuster.storefronts.DRIVERS
CUSTOM = "custom:"  # a driver that the locustfile installs: install(events, drivers=[MyShop])

DEFAULT_ID_HEADER = "X-Request-ID"
PROTOCOLS = ("http/1.1", "h2")
_CUSTOM_NAME = re.compile(r"custom:[a-z][a-z0-9_-]{0,62}")
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"  # containers have names with _
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@value_type({"anyOf": [{"enum": list(STOREFRONTS)}, {"pattern": f"^{_CUSTOM_NAME.pattern}$"}]})
def parse_storefront(raw: object) -> str:
    """The name of a bundled driver, or `custom:` and the name of a driver in the locustfile."""
    if isinstance(raw, str) and raw.startswith(CUSTOM):
        if not _CUSTOM_NAME.fullmatch(raw):
            rule = "must have lower-case letters, digits, - and _ after custom:, beginning with a letter"
            raise invalid(
                rule, got=preview(raw), way_out='for a driver with name = "my-shop", write custom:my-shop'
            )
        return raw
    return choice("storefront", STOREFRONTS)(raw)


@value_type({"type": "string", "pattern": "^https?://"})
def parse_url(raw: object) -> str:
    """An http or https URL without a trailing slash."""
    rule = 'must be an http:// or https:// URL, such as "https://staging.example.com"'
    if not isinstance(raw, str):
        raise invalid(rule, got=preview(raw))
    try:
        parts = urlsplit(raw.strip())
        host, is_valid = parts.hostname or "", parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        host, is_valid = "", False
    if not is_valid or not host:
        raise invalid(rule, got=preview(raw))
    if not is_host(host):
        raise invalid("must name one host in ASCII letters, digits, -, _ and .", got=preview(raw),
                      way_out=_in_ascii(host))  # fmt: skip
    if parts.username or parts.password or parts.query or parts.fragment:
        raise invalid("must be a URL without credentials, ? or #", got=f"{parts.hostname} with more")
    return raw.strip().rstrip("/")


@value_type({"enum": list(CURRENCIES)})
def parse_currency(raw: object) -> str:
    """The code of a currency."""
    if isinstance(raw, str) and raw in CURRENCIES:
        return raw
    near = get_close_matches(str(raw).upper(), CURRENCIES, n=1, cutoff=0.75)
    way_out = f'did you mean "{near[0]}"?' if near else ""
    raise invalid("must be a currency code of ISO 4217, such as EUR", got=preview(raw), way_out=way_out)


@value_type({"enum": list(ASSETS)})
def parse_assets(raw: object) -> str:
    """Which static assets of pages are fetched."""
    if isinstance(raw, str) and raw in ASSETS:
        return raw
    raise invalid("must be none, critical or all", got=preview(raw))


@value_type({"enum": list(PROTOCOLS)})
def parse_protocol(raw: object) -> str:
    """The version of HTTP that customers prefer."""
    if isinstance(raw, str) and raw in PROTOCOLS:
        return raw
    way_out = "HTTP/3 is not supported" if str(raw).lower() in ("h3", "http/3", "3") else ""
    raise invalid("must be http/1.1 or h2", got=preview(raw), way_out=way_out)


def _in_ascii(host: str) -> str:
    """How to write a host with other letters (RFC 3492); "" when it is none."""
    try:
        found = host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return f"write it as {found}" if found != host and is_host(found) else ""


def is_driver_name(name: object) -> bool:
    """Whether a scenario can name a driver so, after `custom:`."""
    return isinstance(name, str) and _CUSTOM_NAME.fullmatch(f"{CUSTOM}{name}") is not None


def is_host(text: str) -> bool:
    """Whether a text is one host name or IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which may always be loaded."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@value_type({"type": "array", "items": {"type": "string"}, "minItems": 1})
def parse_source_addresses(raw: object) -> tuple[str, ...]:
    """IP addresses of this machine, each once."""
    rule = "must be a list of IP addresses of this machine"
    if not isinstance(raw, list | tuple) or not raw:
        raise invalid(rule, got=preview(raw), way_out="omit the key to let the system choose")
    for text in raw:
        try:
            ipaddress.ip_address(text if isinstance(text, str) else "")
        except ValueError:
            raise invalid(rule, got=preview(text)) from None
    return tuple(dict.fromkeys(raw))


@value_type({"type": "string", "pattern": f"^{HEADER_NAME.pattern}$"})
def parse_header_name(raw: object) -> str:
    """The name of an HTTP header; "" for none."""
    if not isinstance(raw, str) or not HEADER_NAME.fullmatch(raw):
        raise invalid("must be the name of an HTTP header, or none", got=preview(raw))
    if raw.lower() in SET_BY_CLIENT:
        raise invalid("is a header that the HTTP client sets itself", got=preview(raw))
    return "" if raw == "none" else raw


class Target(StrictModel):
    """The shop to load: the embedded shop, or a URL."""

    one_of = ("url", "shop")

    storefront: Annotated[str, parse_storefront] = Field(
        default="reference", description="Driver for this kind of shop."
    )
    url: Annotated[str, parse_url] | None = Field(
        default=None, description="URL of the shop.", examples=["https://staging.example.com"]
    )
    shop: Shop | None = Field(default=None, description="Start the embedded shop and load it.")

    content_rules: tuple[ContentRule, ...] = Field(
        default=(),
        alias="rules",
        description="Content rules for responses, in addition to the driver's checks.",
        examples=[[{"step": "product", "contains": "Add to basket"}]],
    )

    source_addresses: Annotated[tuple[str, ...], parse_source_addresses] = Field(
        default=(),
        description="Local IP addresses to connect from in turn; each has 28,000 ports.",
        examples=[["10.0.0.5", "10.0.0.6"]],
    )

    request_id_header: Annotated[str, parse_header_name] = Field(
        default=DEFAULT_ID_HEADER,
        description="Header with an id of each request, to find it in the shop's logs; none sends no id.",
        examples=["X-Correlation-ID"],
    )

    currency: Annotated[str, parse_currency] = Field(
        default=POUND.code,
        description="Currency of the shop's prices (ISO 4217). Default: GBP.",
        examples=["EUR"],
    )

    headers: Annotated[dict[str, str], parse_target_headers] = Field(
        default={},
        description="Headers of every request; ${NAME} stands for an environment variable.",
        examples=[{"X-Waf-Bypass": "${WAF_BYPASS}"}],
    )

    assets: Annotated[str, parse_assets] = Field(
        default="none",
        description="Static assets that customers fetch with each page: none, critical, all. Default: none.",
        examples=["critical"],
    )

    protocol: Annotated[str, parse_protocol] = Field(
        default="http/1.1",
        description="Version of HTTP: http/1.1, or h2 where an https server offers it. Default: http/1.1.",
        examples=["h2"],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """A url or a shop; the request's id is in a header of its own."""
        yield from super().rules(raw)
        headers, id_header = raw.get("headers"), str(raw.get("request_id_header", DEFAULT_ID_HEADER))
        for name in headers if isinstance(headers, Mapping) else ():
            if str(name).lower() == id_header.lower():
                rule = "has the id of each request"
                way_out = "set request_id_header: none, or to another header"
                yield KeyIssue(("headers", str(name)), rule, way_out=way_out, at="key")
        if raw.get("shop") is not None and raw.get("currency", POUND.code) != POUND.code:
            rule = f"must be {POUND.code} for the embedded shop"
            yield KeyIssue(("currency",), rule, preview(raw["currency"]))
        if raw.get("protocol") == "h2" and urlsplit(str(raw.get("url", ""))).scheme != "https":
            rule = "needs an https URL: browsers speak HTTP/2 over TLS only"
            yield KeyIssue(("protocol",), rule, preview(raw["protocol"]), "remove the key")

    @property
    def money(self) -> Currency:
        """The currency of the shop's prices."""
        return CURRENCIES[self.currency]

    @property
    def host(self) -> str | None:
        """The host behind `url`; None for the embedded shop."""
        return urlsplit(self.url).hostname if self.url else None
