"""Keeps Locust's master port alive: whatever arrives there, no worker is lost and no run ends.

Without a key (channel_key.py), anybody in the network can send to the port. One message that cannot be read
would end Locust's listener and with it the connection to every worker; one in the name of a worker would
remove that.
"""

from __future__ import annotations

import logging
from typing import Any

from locust.exception import RPCError, RPCReceiveError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Server
from locust.runners import MasterRunner

logger = logging.getLogger("doorbuster")

_OF_WORKERS = ("stats", "exception")  # messages that only a connected worker can send
_MARK = "_doorbuster_checked"


def check_messages() -> None:
    """Make Locust's master skip messages that are malformed or in another's name; called before it starts."""
    if getattr(Server, _MARK, False):
        return
    setattr(Server, _MARK, True)
    receive, handle = Server.recv_from_client, MasterRunner.handle_message

    def checked_receive(server: Any) -> tuple[str, Message]:
        while True:
            try:
                sender, message = receive(server)  # type: ignore[no-untyped-call]
            except RPCReceiveError as error:
                _skip("a sender", error)
            except RPCError:  # the socket itself, which Locust opens anew
                raise
            except Exception as error:  # noqa: BLE001  bytes of anybody; the next message may be a worker's
                _skip("a sender", error)
            else:
                if isinstance(message.type, str) and message.node_id == sender:
                    return sender, message
                _skip(sender, "it does not name its sender")

    def checked_handle(runner: Any, client_id: str, message: Message) -> None:
        if message.type in _OF_WORKERS and client_id not in runner.clients:
            _skip(client_id, f"it is a message of type {message.type}, and no worker has this name")
            return
        try:
            handle(runner, client_id, message)
        except Exception as error:  # noqa: BLE001  see above
            _skip(client_id, error)

    setattr(Server, "recv_from_client", checked_receive)  # noqa: B010  the type checker refuses assignments
    setattr(MasterRunner, "handle_message", checked_handle)  # noqa: B010


def _skip(sender: str, why: object) -> None:
    logger.warning("skipped a message of %.60r to the master's port: %.200r", sender, why)
