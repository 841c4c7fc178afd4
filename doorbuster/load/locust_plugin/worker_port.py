"""Keeps a worker alive, whatever its master sends or something else that listens at the master's address.

One message that cannot be read, or that Locust's own handler cannot use, would end the worker's listener; the
worker would then neither work nor end. Messages of doorbuster are checked by their classes, see `messages`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

from locust.exception import RPCError, RPCReceiveError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Client
from locust.runners import WorkerRunner
from pydantic import ConfigDict, Field

from doorbuster.load.coordination.messages import Finite, MasterMessage, MessageRefused
from doorbuster.load.runtime.notes import note

logger = logging.getLogger("doorbuster")

MAX_USERS = 1_000_000  # of one class on one worker
MAX_REFUSALS = 100  # sentences that one worker says; each once
_MARK = "_doorbuster_checked"


class UserOrder(MasterMessage):
    """Locust's message to start users; it has more fields, which depend on its version."""

    model_config = ConfigDict(extra="ignore")

    timestamp: Finite
    host: str | None
    stop_timeout: Annotated[Finite, Field(ge=0)] | None
    parsed_options: dict[str, Any]
    user_classes_count: dict[str, Annotated[int, Field(ge=0, le=MAX_USERS)]]


class MasterMessages:
    """Hands the messages of the master to listeners, which refuse one by raising MessageRefused."""

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._said: set[str] = set()

    def on(self, kind: str, listener: Callable[[Any], None], *, concurrent: bool = False) -> None:
        """Call `listener` with the content of each message of a kind; concurrent: in its own greenlet."""

        def checked(msg: Any, **_: Any) -> None:
            try:
                listener(msg.data)
            except MessageRefused as why:
                self._say(f"refused a message of the master ({kind}): {why}")

        self._runner.register_message(kind, checked, concurrent=concurrent)

    def _say(self, sentence: str) -> None:
        if sentence not in self._said and len(self._said) < MAX_REFUSALS:
            self._said.add(sentence)
            note(sentence)


def check_messages_of_master() -> None:
    """Make Locust's worker skip messages that are malformed or for another; called before it starts."""
    if getattr(Client, _MARK, False):
        return
    setattr(Client, _MARK, True)
    receive, handle = Client.recv, WorkerRunner.handle_message

    def checked_receive(client: Any) -> Message:
        while True:
            try:
                message: Message = receive(client)  # type: ignore[no-untyped-call]
            except RPCReceiveError as error:
                _skip("unreadable", error)
            except RPCError:  # the socket itself, which Locust opens anew
                raise
            except Exception as error:  # noqa: BLE001  bytes of anybody; the next message may be the master's
                _skip("unreadable", error)
            else:
                if isinstance(message.type, str):
                    return message
                _skip(message.type, "its type is no text")

    def checked_handle(runner: Any, message: Message) -> None:
        if message.node_id != runner.client_id:
            _skip(message.type, "it is for another worker")
            return
        try:
            if message.type == "spawn":
                _check_users(runner, message.data)
            handle(runner, message)
        except Exception as error:  # noqa: BLE001  see above
            _skip(message.type, error)

    setattr(Client, "recv", checked_receive)  # noqa: B010  the type checker refuses assignments
    setattr(WorkerRunner, "handle_message", checked_handle)  # noqa: B010


def _check_users(runner: Any, wire: object) -> None:
    """Raises: MessageRefused for users that this worker does not have."""
    unknown = set(UserOrder.from_wire(wire).user_classes_count) - set(runner.user_classes_by_name)
    if unknown:
        raise MessageRefused(f"its locustfile has no class {', '.join(sorted(unknown))[:100]}")


def _skip(kind: object, why: object) -> None:
    logger.warning("skipped a message of the master (%.60r): %.200r", kind, why)
