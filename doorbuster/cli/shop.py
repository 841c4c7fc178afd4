"""`doorbuster shop`: start the embedded reference shop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from doorbuster.output import say
from doorbuster.shop_settings import Setting, ShopSettings, WaitingRoomSettings, scenario_key

if TYPE_CHECKING:
    from doorbuster.shop.server import ShopAddresses

DEFAULT_PORT = 8004


class _Option(NamedTuple):
    """The command-line option of one setting; `of_room`: it belongs to the waiting room."""

    name: str
    field: dataclasses.Field[Any]
    of_room: bool

    @property
    def setting(self) -> Setting:
        setting: Setting = self.field.metadata["setting"]
        return setting

    @property
    def parameter(self) -> str:
        return f"waiting_room_{self.field.name}" if self.of_room else self.field.name

    def read(self, text: str) -> Any:
        try:
            return self.setting.from_option(text)
        except ValueError as error:
            raise click.UsageError(f"{self.name} {text}: {error}") from error

    @property
    def default(self) -> str:
        if self.name == "--port":
            return str(DEFAULT_PORT)
        if self.field.default is dataclasses.MISSING:
            return "no waiting room"
        return self.setting.default_text or self.setting.shown(self.field.default)

    @property
    def metavar(self) -> str:
        return "|".join(map(str, self.setting.choices)) or _METAVARS[self.setting.kind]

    def decorate(self, command: Callable[..., None]) -> Callable[..., None]:
        text = f"{self.setting.help} Default: {self.default}."
        if self.setting.kind == "flag":
            return click.option(self.name, self.parameter, is_flag=True, help=text)(command)
        return click.option(self.name, self.parameter, metavar=self.metavar, help=text)(command)


_METAVARS = {
    "whole": "N", "duration": "TIME", "rate": "RATE", "merchants": "NAMES", "url": "URL", "text": "ADDRESS",
    "path": "DIR", "file": "FILE",
    "flag": "",
}  # fmt: skip


def _options() -> Iterator[_Option]:
    for field in dataclasses.fields(ShopSettings):
        if field.name != "waiting_room":
            yield _Option("--" + scenario_key(field.name).replace("_", "-"), field, of_room=False)
    for field in dataclasses.fields(WaitingRoomSettings):
        name = "" if field.name == "admit_per_s" else "-" + scenario_key(field.name)
        yield _Option(f"--waiting-room{name}", field, of_room=True)


OPTIONS = tuple(_options())


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        command = option.decorate(command)
    return command


def _settings(given: dict[str, Any]) -> ShopSettings:
    plain: dict[str, Any] = {"port": DEFAULT_PORT}
    room: dict[str, Any] = {}
    for option in OPTIONS:
        value = given[option.parameter]
        if value is not None and value is not False:
            value = value if value is True else option.read(value)
            (room if option.of_room else plain)[option.field.name] = value
    if room and "admit_per_s" not in room:
        raise click.UsageError("a waiting room needs an admission rate: add --waiting-room RATE")
    if "reuse" in plain and "folder" not in plain:
        raise click.UsageError("--reuse has no effect on a temporary folder: add --folder DIR")
    return ShopSettings(**plain, waiting_room=WaitingRoomSettings(**room) if room else None)


@click.command("shop")
@_with_options
def command(**given: Any) -> None:
    """Start the embedded reference shop and run it until Ctrl-C.

    \b
    Example: doorbuster shop --profile in-house-2004 --port 8004
    """
    from doorbuster.shop.server import serve

    settings = _settings(given)

    def announce(addresses: ShopAddresses) -> None:
        for name, url in addresses.urls.items():
            whose = name and f" of {name}"
            say(f"The shop{whose} is open at {url} ({settings.profile}); Ctrl-C closes it.")

    serve(settings, announce=announce)
