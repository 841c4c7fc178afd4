"""The key that master and workers share: it encrypts Locust's channel, and nobody without it gets in.

Both ends derive the same two pairs of CurveZMQ keys from the secret in DOORBUSTER_KEY. The master's public
key follows from the secret and is never sent, so only its owners can open a connection; the worker uses it to
check the master. Session keys are new for each connection: recorded bytes cannot be replayed. A connection
without the key ends within the handshake, before Locust or doorbuster see a message: no scenario, no
locustfile and no option is handed out.
Source: CurveZMQ, ZeroMQ RFC 26; the derivation is scrypt, RFC 7914.

Locust has no setting for this: two classes of its transport are replaced by their subclasses here.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

import gevent
import zmq.green as zmq
from gevent.event import Event
from locust.exception import RPCError
from locust.rpc import rpc
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from doorbuster.errors import ExitCode, UsageError
from doorbuster.load.runtime.notes import note
from doorbuster.output import say
from doorbuster.output.secret_masking import remember_secrets

logger = logging.getLogger("doorbuster")

KEY_VARIABLE = "DOORBUSTER_KEY"
MIN_CHARACTERS = 16
REFUSED_LIMIT_S = 4.0  # a worker that is refused for so long gives up, before Locust's third attempt to send
QUIET_S = 10.0  # between two log lines about refused connections
HANDSHAKE_WAIT_S = 1.0  # of the first message
_FINAL = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
)  # ZeroMQ does not connect again
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | _FINAL[0] | _FINAL[1]
_MONITOR = "inproc://doorbuster-handshakes-{}"


class KeyPair(NamedTuple):
    """A CurveZMQ key pair in Z85."""

    public: bytes
    secret: bytes


class ChannelKeys(NamedTuple):
    """The key pairs of both ends."""

    master: KeyPair
    worker: KeyPair


def channel_keys(secret: str) -> ChannelKeys:
    """Both key pairs of a shared secret, without the space around it: files of secrets end with a line break.

    Raises: UsageError for a secret that can be guessed.
    """
    secret = secret.strip()
    if len(secret) < MIN_CHARACTERS:
        raise UsageError(
            f"{KEY_VARIABLE} has {len(secret)} characters, it needs at least {MIN_CHARACTERS}; make one with "
            "openssl rand -hex 32"
        )
    return ChannelKeys(_pair(secret, b"doorbuster master"), _pair(secret, b"doorbuster worker"))


def _pair(secret: str, salt: bytes) -> KeyPair:
    raw = hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
    encoded = z85.encode(raw)
    return KeyPair(zmq.curve_public(encoded), encoded)


def protect_channel() -> None:
    """Make Locust open its channel with the key, if there is one; called before it starts.

    Raises: UsageError for a key that can be guessed, or a ZeroMQ without encryption.
    """
    if issubclass(rpc.Server, KeyedServer):
        return
    secret = os.environ.get(KEY_VARIABLE, "")
    if secret and not zmq.has("curve"):
        raise UsageError("this installation of ZeroMQ cannot encrypt: install pyzmq from its wheels")
    keys = channel_keys(secret) if secret else None
    remember_secrets([secret.strip()] if secret else [])
    KeyedServer.keys = KeyedClient.keys = keys
    for name, replacement in (("Server", KeyedServer), ("Client", KeyedClient)):
        setattr(rpc, name, replacement)


class KeyedServer(rpc.Server):
    """Locust's server socket with the master's key."""

    keys: ChannelKeys | None = None

    def __init__(self, host: str, port: int) -> None:
        rpc.BaseSocket.__init__(self, zmq.ROUTER, self.ipv4_only(host, port))
        if self.keys is not None:
            self.socket.curve_server = True
            self.socket.curve_publickey, self.socket.curve_secretkey = self.keys.master
        self._refused, self._last_line_at = 0, -QUIET_S
        _watch(self.socket, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | _REFUSED, self._on_refused)
        try:
            if port == 0:
                self.port = self.socket.bind_to_random_port(f"tcp://{host}")
            else:
                self.socket.bind(f"tcp://{host}:{port}")
                self.port = port
        except zmq.ZMQError as error:
            # Locust compares this text.
            raise RPCError(f"Socket bind failure: {error}") from error

    def _on_refused(self, _event: int) -> None:
        self._refused += 1
        theirs = "no key, or another one" if self.keys is not None else "a key, and there is none here"
        if self._refused == 1:
            note(
                f"a connection to the master's port was refused: it has {theirs}; both sides need the same "
                f"{KEY_VARIABLE}"
            )
        elif monotonic() - self._last_line_at >= QUIET_S:
            self._last_line_at = monotonic()
            logger.warning("%d connections to the master's port were refused so far", self._refused)


class KeyedClient(rpc.Client):
    """Locust's client socket with the worker's key; ends the process if the master refuses it."""

    keys: ChannelKeys | None = None

    def __init__(self, host: str, port: int, identity: str) -> None:
        rpc.BaseSocket.__init__(self, zmq.DEALER, self.ipv4_only(host, port))
        self.socket.setsockopt(zmq.IDENTITY, identity.encode())
        if self.keys is not None:
            self.socket.curve_serverkey = self.keys.master.public
            self.socket.curve_publickey, self.socket.curve_secretkey = self.keys.worker
        self._place = f"{host}:{port}"
        self._refused_since: float | None = None
        self._was_connected, self._handshake = False, Event()
        _watch(self.socket, zmq.EVENT_HANDSHAKE_SUCCEEDED | _REFUSED, self._on_handshake)
        self.socket.connect(f"tcp://{host}:{port}")

    def send(self, msg: Any) -> None:
        """Send a message; the first waits for the handshake, since Locust logs failures to send."""
        if not self._was_connected:
            self._handshake.wait(HANDSHAKE_WAIT_S)
        super().send(msg)

    def _on_handshake(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._was_connected = True
            self._handshake.set()
            return
        if self._was_connected:  # the master has gone, and something else listens there
            return
        self._refused_since = self._refused_since or monotonic()
        if event in _FINAL or monotonic() - self._refused_since > REFUSED_LIMIT_S:
            self._end_refused()

    def _end_refused(self) -> None:
        mine = "it has another key" if self.keys is not None else f"{KEY_VARIABLE} must be set here, too"
        say(f"doorbuster: {self._place} refuses this worker: {mine}, or it is no master", error=True)
        os._exit(int(ExitCode.USAGE))


def _watch(socket: Any, events: int, tell: Any) -> None:
    """Call `tell` with every handshake event of a socket that is about to be bound or connected."""
    monitor = socket.get_monitor_socket(events, _MONITOR.format(id(socket)))

    def listen() -> None:
        with suppress(zmq.ZMQError):  # the socket is closed
            while True:
                event = recv_monitor_message(monitor)["event"]
                if event == zmq.EVENT_MONITOR_STOPPED:
                    return
                tell(event)

    gevent.spawn(listen)
