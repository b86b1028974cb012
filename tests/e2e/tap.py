"""Listens on the line between Open WebUI and PicGate, to see what the client really sends (`--record`).

A relay of plain bytes: nothing is read before it has been passed on, both ends are closed as soon as one is, and what is
understood of the requests is worked out afterwards. So neither side can tell that it is there.
"""

import asyncio
import re
import threading
from contextlib import suppress
from dataclasses import dataclass

CHUNK = 64 * 1024
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass
class Recorded:
    """One request as the client sent it."""

    line: str
    headers: dict[str, str]
    body: bytes


class Tap:
    """Relays connections from one port to another and keeps what the client said on each."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.connections: list[bytearray] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="tap", daemon=True)

    def __enter__(self) -> "Tap":
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the tap does not start")
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def requests(self) -> list[Recorded]:
        """Returns the complete requests so far, those of one connection in their order."""
        return [request for said in self.connections for request in parse(bytes(said))]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._relay, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = bytearray()
        self.connections.append(said)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [asyncio.create_task(_pass_on(reader, to_writer, said)), asyncio.create_task(_pass_on(to_reader, writer, None))]
        with suppress(asyncio.CancelledError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, to_writer):
            end.close()
        for way in ways:
            way.cancel()


async def _cancel_all() -> None:
    """Ends the connections that are still open."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray | None) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
            if said is not None:
                said += data
    except ConnectionError:
        pass  # The other side has left, which is how a stopped answer looks.


def parse(said: bytes) -> list[Recorded]:
    """Takes the bytes of one connection apart into requests. What is not complete is left out."""
    found = []
    while HEAD_END in said:
        head, rest = said.split(HEAD_END, 1)
        body = _body(head, rest)
        if body is None:
            break
        content, said = body
        line, *headers = head.decode("latin-1").split("\r\n")
        found.append(Recorded(line, dict(header.split(": ", 1) for header in headers), content))
    return found


def _body(head: bytes, rest: bytes) -> tuple[bytes, bytes] | None:
    """Returns the body and what follows it, or nothing if it has not come whole."""
    if CHUNKED.search(head):
        return _dechunked(rest)
    match = LENGTH.search(head)
    length = int(match.group(1)) if match else 0
    return (rest[:length], rest[length:]) if len(rest) >= length else None


def _dechunked(rest: bytes) -> tuple[bytes, bytes] | None:
    content = b""
    while b"\r\n" in rest:
        size, rest = rest.split(b"\r\n", 1)
        length = int(size.split(b";")[0], 16)
        if len(rest) < length + 2:
            return None
        content, rest = content + rest[:length], rest[length + 2 :]
        if length == 0:
            return content, rest
    return None
