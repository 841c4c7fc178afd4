"""Steps over other protocols, on the client of a customer: server-sent events and WebSocket."""

from doorbuster.load.protocols.event_stream import EventStream, ServerEvent, event_stream
from doorbuster.load.protocols.websocket import WebSocket

__all__ = ["EventStream", "ServerEvent", "WebSocket", "event_stream"]
