"""Checks what the client refuses or only warns about; exits with a traceback if it does otherwise."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import locust
from locust.env import Environment
from locust.exception import StopTest

from doorbuster.load.locust_plugin.http_user import HttpUser


def make_user(**attributes: Any) -> HttpUser:
    @locust.task
    def nothing(_: Any) -> None: ...

    members = {"host": "http://127.0.0.1:1", "nothing": nothing, **attributes}
    user_class = type("User", (HttpUser,), members)
    return user_class(Environment(user_classes=[user_class]))


def refusal(call: Any) -> str:
    try:
        call()
    except (AttributeError, StopTest, ValueError) as error:
        return str(error)
    raise AssertionError("accepted")


def main() -> None:
    for attribute in ("client_pool", "pool_manager", "max_retries"):
        text = refusal(lambda attribute=attribute: make_user(**{attribute: 3}))
        assert text.startswith(f"User.{attribute} is not supported: "), text

    context = ssl.create_default_context()
    user = make_user(ssl_context_factory=lambda _: context)
    assert user.client.settings.ssl_context is context
    client = user.client
    for name in ("adapters", "client"):
        assert refusal(lambda name=name: getattr(client, name)).startswith((name, "client.client"))
    assert refusal(lambda: client.get_adapter("http://")).startswith("get_adapter is not supported: ")
    hook = {"request": print}
    assert refusal(lambda: client.get("/", hooks=hook)) == "hooks: only 'response' is supported (got request)"
    assert refusal(lambda: setattr(client, "proxies", 7)).startswith("proxies must be like ")
    assert refusal(lambda: setattr(client, "cookies", 7)).startswith("cookies must be a mapping")
    client.proxies["https"] = "http://127.0.0.1:2"
    client.proxies.update(http="http://127.0.0.1:3")
    assert dict(client.proxies) == {"https": "http://127.0.0.1:2", "http": "http://127.0.0.1:3"}
    del client.proxies["https"]
    assert dict(client.proxies) == {"http": "http://127.0.0.1:3"}
    response = client.get("/")
    assert response.cause == "proxy"
    for name in ("next", "connection", "request_meta"):
        assert refusal(lambda name=name: getattr(response, name)).startswith(f"{name} is not supported: ")

    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    client.mount("https://", object())
    assert "has no effect" in records[-1].getMessage()


if __name__ == "__main__":
    main()
