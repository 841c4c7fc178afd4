"""The embedded shop as a scenario starts it: settings, and failures injected during the run.

The keys of `target.shop` are made from doorbuster.shop_settings, so a new setting needs no line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, create_model

from doorbuster.scenario.parsing.diagnostics import KeyIssue, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    DurationS,
    Flag,
    PositiveDurationS,
    Share,
    ValueType,
    choice,
    duration,
    rate,
    value_type,
    whole,
)
from doorbuster.shop_settings import (
    DEPENDENCIES,
    LOOPBACK_URL,
    MAX_FAULT_DELAY_S,
    MAX_MERCHANTS,
    MERCHANT_NAME,
    Setting,
    ShopSettings,
    WaitingRoomSettings,
    list_settings,
)
from doorbuster.units import format_duration

_SETTINGS = {name: s for name, s in list_settings(ShopSettings).items() if s.in_scenario}

Dependency = Annotated[str, choice("dependency", DEPENDENCIES)]


@value_type(
    {
        "type": "array",
        "items": {"type": "string", "pattern": f"^{MERCHANT_NAME.pattern}$"},
        "minItems": 2,
        "maxItems": MAX_MERCHANTS,
    }
)
def parse_merchants(raw: object) -> tuple[str, ...]:
    """Two or more different names."""
    if not isinstance(raw, list | tuple) or not raw or _SETTINGS["merchants"].problem(tuple(map(str, raw))):
        raise invalid(
            f"must be a list of 2 to {MAX_MERCHANTS} different names of lower-case letters, digits and -, "
            "such as [north, south]",
            got=preview(raw),
        )
    return tuple(map(str, raw))


@value_type({"type": "string", "pattern": f"^{LOOPBACK_URL.pattern}$"})
def parse_loopback_url(raw: object) -> str:
    """The address of a receiver on this machine."""
    if not isinstance(raw, str) or not LOOPBACK_URL.fullmatch(raw):
        rule = "must be an address of this machine with its port, such as http://127.0.0.1:4318"
        raise invalid(rule, got=preview(raw))
    return raw


def _within(setting: Setting) -> ValueType[float]:
    """Parser of a duration or a rate within the bounds of its setting."""
    is_rate = setting.kind == "rate"
    parse = rate(setting.counts) if is_rate else duration(zero=setting.low == 0)

    def parse_within(raw: object) -> float:
        value = parse(raw)
        if setting.problem(value):
            low, high = (
                f"{bound:g} {setting.counts}/s" if is_rate else format_duration(bound)
                for bound in (setting.low, setting.high)
            )
            raise invalid(f"must be between {low} and {high}", got=preview(raw))
        return value

    return ValueType(parse_within, parse.schema)


def _one_of_numbers(setting: Setting) -> Any:
    *others, last = map(str, setting.choices)

    def parse(raw: object) -> int:
        if isinstance(raw, bool) or raw not in setting.choices:
            raise invalid(f"must be {', '.join(others)} or {last}", got=preview(raw))
        return int(str(raw))

    return Annotated[int, ValueType(parse, {"enum": list(setting.choices)})]


def _setting_type(name: str, setting: Setting) -> Any:
    if setting.kind == "whole":
        return Annotated[int, whole(int(setting.low), int(setting.high))]
    if setting.kind in ("duration", "rate"):
        return Annotated[float, _within(setting)]
    if setting.kind == "choice":
        if isinstance(setting.choices[0], int):
            return _one_of_numbers(setting)
        return Annotated[str, choice(name, map(str, setting.choices))]
    if setting.kind == "url":
        return Annotated[str, parse_loopback_url]
    if setting.kind == "merchants":
        return Annotated[tuple[str, ...], parse_merchants]
    return WaitingRoomKeys if setting.kind == "waiting room" else Flag


def _keys(name: str, model: type, required: tuple[str, ...]) -> Any:
    """A model with a key for each setting; keys that are not required are None when not given."""
    fields: dict[str, Any] = {}
    for attribute, setting in list_settings(model).items():
        if not setting.in_scenario:
            continue
        kind, is_required = _setting_type(attribute, setting), attribute in required
        fields[attribute] = (
            kind if is_required else kind | None,
            Field(default=... if is_required else None, description=setting.help, examples=[setting.example]),
        )
    return create_model(name, __base__=StrictModel, __doc__=model.__doc__, **fields)


class DependencyFault(StrictModel):
    """A fault of a service behind the embedded shop; times are run time."""

    dependency: Dependency = Field(description="Affected service.", examples=["payment"])
    at_s: DurationS = Field(default=0.0, description="Start of the fault, in run time.", examples=["30s"])
    for_s: PositiveDurationS = Field(description="Duration of the fault.", examples=["20s"])
    slow_s: Annotated[float, _within(Setting("duration", "", high=MAX_FAULT_DELAY_S))] = Field(
        default=0.0, description="Delay added to each call.", examples=["2s"]
    )
    fail_ratio: Share = Field(default=0.0, description="Share of the calls that fail.", examples=["30%"])

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        if "slow" not in raw and "fail" not in raw:
            yield KeyIssue((), 'needs "slow", "fail" or both')

    @property
    def wire(self) -> dict[str, Any]:
        """The JSON that the shop's control API accepts."""
        return {
            "dependency": self.dependency,
            "at_s": self.at_s,
            "for_s": self.for_s,
            "slow_s": self.slow_s,
            "fail_ratio": self.fail_ratio,
        }

    @property
    def sentence(self) -> str:
        """The fault as text for the log of a run."""
        slow = [f"{self.slow_s:g} s slower"] if self.slow_s else []
        fails = [f"failing for {self.fail_ratio:.0%} of calls"] if self.fail_ratio else []
        return f"{self.dependency} {' and '.join(slow + fails)} for {self.for_s:g} s"


WaitingRoomKeys = _keys("WaitingRoomSettings", WaitingRoomSettings, required=("admit_per_s",))
_ShopKeys = _keys("ShopKeys", ShopSettings, required=("profile",))


class Shop(_ShopKeys, StrictModel):  # type: ignore[misc, valid-type]  # made from ShopSettings
    """The embedded reference shop; settings that are None keep the shop's own value."""

    faults: tuple[DependencyFault, ...] = Field(
        default=(),
        description="Faults injected into the shop's services during the run.",
        examples=[[{"dependency": "payment", "at": "30s", "for": "20s", "slow": "2s"}]],
    )

    @property
    def settings(self) -> ShopSettings:
        """The settings with which the shop is started."""
        given = {name: getattr(self, name) for name in _SETTINGS if getattr(self, name) is not None}
        if self.waiting_room is not None:
            room = self.waiting_room.model_dump(exclude_none=True)
            given["waiting_room"] = WaitingRoomSettings(**room)
        return ShopSettings(**given)
