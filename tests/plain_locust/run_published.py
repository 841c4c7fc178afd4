"""Runs published-style locustfiles on one kind of Locust user and prints what Locust was told of each.

    python run_published.py HttpUser|FastHttpUser|ours URL FILE...

Only the import of the base class changes, as somebody would change it. Chance is seeded and nothing waits, so
that the three kinds make the same decisions. Each user class runs twice, one user after the other.
"""

from __future__ import annotations

import json
import logging
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import locust  # patches the interpreter first
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import TaskSet

WAITS = 25  # of a user, before it stops
OURS = "from doorbuster.load.locust_plugin.http_user import HttpUser\n"
IMPORT = re.compile(r"^from locust import .*$", re.MULTILINE)


def ported(source: str, kind: str) -> str:
    """The file with another base class."""
    source = source.replace("FastHttpUser", "HttpUser")
    if kind == "FastHttpUser":
        return source.replace("HttpUser", "FastHttpUser")
    if kind == "ours":
        found = IMPORT.search(source)
        assert found is not None, "a locustfile imports from locust"
        names = [name.strip() for name in found[0].removeprefix("from locust import ").split(",")]
        kept = ", ".join(name for name in names if name != "HttpUser")
        return source.replace(found[0], OURS + (f"from locust import {kept}" if kept else ""))
    return source


def run(kind: str, url: str, path: Path) -> dict[str, Any]:
    """How often each "METHOD name" was recorded as well and as failed, and the errors of tasks."""
    events = locust.events
    counted: Counter[str] = Counter()
    errors: Counter[str] = Counter()

    def on_request(request_type: str, name: str, exception: Any, **_: Any) -> None:
        counted[f"{request_type} {name}{'' if exception is None else ' failed'}"] += 1

    def on_error(exception: BaseException, **_: Any) -> None:
        errors[f"{type(exception).__name__}: {exception}"[:150]] += 1

    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    random.seed(path.stem)
    exec(compile(ported(path.read_text(encoding="utf-8"), kind), str(path), "exec"), namespace)
    classes = [
        value for value in namespace.values()
        if isinstance(value, type) and issubclass(value, locust.User) and not value.abstract
    ]  # fmt: skip
    events.request.add_listener(on_request)
    events.user_error.add_listener(on_error)
    environment = Environment(user_classes=classes, events=events, host=url)
    environment.create_local_runner()
    events.test_start.fire(environment=environment)
    for user_class in classes:
        user_class.host = url
        for _ in range(2):
            run_user(user_class(environment))
    events.test_stop.fire(environment=environment)
    events.request.remove_listener(on_request)
    events.user_error.remove_listener(on_error)
    return {"requests": dict(sorted(counted.items())), "errors": dict(sorted(errors.items()))}


def run_user(user: Any) -> None:
    waits = 0

    def wait(*_: Any) -> None:
        nonlocal waits
        waits += 1
        if waits >= WAITS:
            raise StopUser

    TaskSet.wait = wait
    user.wait = wait
    user.run()


def main() -> None:
    logging.disable(logging.CRITICAL)
    kind, url, *files = sys.argv[1:]
    sys.stdout.write(json.dumps({Path(file).stem: run(kind, url, Path(file)) for file in files}))


if __name__ == "__main__":
    main()
