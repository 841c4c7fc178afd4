"""A TCP relay that delays all bytes and can be cut.

    python tests/load/relay.py --to 127.0.0.1:5557 --delay-ms 20

It prints its port. A line `cut SECONDS` on standard input breaks every connection and refuses new ones for
this time. It ends with its standard input. With --jitter-ms, each delay differs by up to this much; with
--loss, this share of the chunks waits for a retransmission of TCP. The order of the bytes stays.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import deque
from random import Random

AT_ONCE = 65_536
RETRANSMISSION_S = 0.3  # Linux waits 200 ms and the variation of the round trip


class Relay:
    """All connections through this relay."""

    def __init__(
        self, host: str, port: int, delay_s: float, *, jitter_s: float = 0.0, loss_ratio: float = 0.0
    ) -> None:
        self._to = host, port
        self._delay_s, self._jitter_s, self._loss_ratio = delay_s, jitter_s, loss_ratio
        self._rng = Random(1)
        self._cut_until = 0.0
        self._ends: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until either end closes it."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._cut_until:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:  # nobody listens there yet
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._ends |= ends
        try:
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        except OSError:  # the other end has closed, also ENOTCONN from a half-close
            pass
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, on_the_way, news = asyncio.get_running_loop(), deque(), asyncio.Event()

        async def read() -> None:
            data = b"-"
            while data:
                data = await reader.read(AT_ONCE)
                on_the_way.append((loop.time() + self._delay(), data))
                news.set()

        async def write() -> None:
            while True:
                while not on_the_way:
                    news.clear()
                    await news.wait()
                at, data = on_the_way.popleft()
                await asyncio.sleep(max(at - loop.time(), 0))
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)

        await asyncio.gather(read(), write())

    def _delay(self) -> float:
        lost_s = RETRANSMISSION_S if self._rng.random() < self._loss_ratio else 0.0
        return max(self._delay_s + self._rng.uniform(-self._jitter_s, self._jitter_s) + lost_s, 0.0)

    def cut(self, for_s: float) -> None:
        """Break every connection."""
        self._cut_until = asyncio.get_running_loop().time() + for_s
        for end in self._ends:
            end.transport.abort()


async def main(relay: Relay, listen: str) -> None:
    """Relay until standard input ends."""
    server = await asyncio.start_server(relay.accept, listen, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, for_s = line.split()
        assert word == "cut"
        relay.cut(float(for_s))
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--listen", default="127.0.0.1")
    options = parser.parse_args()
    far_host, far_port = options.to.rsplit(":", 1)
    made = Relay(
        far_host,
        int(far_port),
        options.delay_ms / 1e3,
        jitter_s=options.jitter_ms / 1e3,
        loss_ratio=options.loss,
    )
    asyncio.run(main(made, options.listen))
