"""An MQTT 3.1.1 broker for tests: QoS 0 and 1, retained messages, wills, wildcards, login, TLS; nothing is kept.

Runs as a process of its own: prints "ready PORT" when it can be connected to; `--port` chooses one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from itertools import count

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
_BAD_LOGIN = 4


@dataclass
class Client:
    """One connection."""

    name: str
    writer: asyncio.StreamWriter
    will: tuple[str, bytes, bool] | None = None
    filters: list[str] = field(default_factory=list)

    def send(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Queue a packet."""
        self.writer.write(bytes([kind << 4 | flags]) + length_bytes(len(body)) + body)


class Broker:
    """All connections, and what is retained.

    Args:
        login: user and password that clients must give; None: anybody may connect.
    """

    def __init__(self, login: tuple[str, str] | None) -> None:
        self._login = login
        self._clients: dict[str, Client] = {}
        self._retained: dict[str, bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it goes."""
        client = None
        try:
            client = await self._accept(reader, writer)
            while client is not None and await self._answer(client, reader):
                await writer.drain()
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            if client is not None:
                self._forget(client)
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Client | None:
        kind, _, body = await read_packet(reader)
        if kind != CONNECT:
            return None
        flags, rest = body[7], body[10:]
        texts = []
        for is_there in (True, flags & 4, flags & 4, flags & 128, flags & 64):
            text, rest = take_text(rest) if is_there else (b"", rest)
            texts.append(text)
        name, will_topic, will_payload, user, password = texts
        client = Client(name.decode(), writer)
        if self._login is not None and (user.decode(), password.decode()) != self._login:
            client.send(CONNACK, bytes([0, _BAD_LOGIN]))
            await writer.drain()
            return None
        if flags & 4:
            client.will = will_topic.decode(), will_payload, bool(flags & 32)
        if client.name in self._clients:
            old = self._clients[client.name]
            self._forget(old)
            old.writer.close()
        self._clients[client.name] = client
        client.send(CONNACK, b"\0\0")
        return client

    async def _answer(self, client: Client, reader: asyncio.StreamReader) -> bool:
        """Read one packet and act on it; return whether the client stays."""
        kind, flags, body = await read_packet(reader)
        if kind == PUBLISH:
            topic, rest = take_text(body)
            if flags & 6:
                client.send(PUBACK, rest[:2])
                rest = rest[2:]
            self._publish(topic.decode(), rest, is_retained=bool(flags & 1))
        elif kind == SUBSCRIBE:
            self._subscribe(client, body)
        elif kind == PINGREQ:
            client.send(PINGRESP, b"")
        elif kind == DISCONNECT:
            client.will = None
        return kind != DISCONNECT

    def _subscribe(self, client: Client, body: bytes) -> None:
        wanted, rest = [], body[2:]
        while rest:
            text, rest = take_text(rest)
            wanted.append(text.decode())
            rest = rest[1:]  # the quality of service: everything is delivered with 0
        client.filters += wanted
        client.send(SUBACK, body[:2] + bytes(len(wanted)))
        for topic, payload in self._retained.items():
            if any(matches(topic, pattern) for pattern in wanted):
                client.send(PUBLISH, publish_body(topic, payload), flags=1)

    def _publish(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        if is_retained:
            self._retained.pop(topic, None)
            if payload:
                self._retained[topic] = payload
        for client in self._clients.values():
            if any(matches(topic, pattern) for pattern in client.filters):
                client.send(PUBLISH, publish_body(topic, payload))

    def _forget(self, client: Client) -> None:
        if self._clients.get(client.name) is client:
            del self._clients[client.name]
        if client.will is not None:
            (topic, payload, is_retained), client.will = client.will, None
            self._publish(topic, payload, is_retained=is_retained)


def matches(topic: str, pattern: str) -> bool:
    """Whether a topic is meant by a pattern with + and #."""
    names, wanted = topic.split("/"), pattern.split("/")
    for place in count():
        if place < len(wanted) and wanted[place] == "#":
            return True
        if place >= len(wanted) or place >= len(names):
            return len(wanted) == len(names)
        if wanted[place] not in ("+", names[place]):
            return False
    return False


def length_bytes(n: int) -> bytes:
    """Return a length in groups of seven bits, the lowest first."""
    groups = []
    while True:
        n, low = divmod(n, 128)
        groups.append(low | (128 if n else 0))
        if not n:
            return bytes(groups)


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Return kind, flags and body of the next packet."""
    head = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        group = (await reader.readexactly(1))[0]
        length |= (group & 127) << shift
        shift += 7
        if group < 128:
            return head >> 4, head & 15, await reader.readexactly(length)


def take_text(data: bytes) -> tuple[bytes, bytes]:
    """Split off a text that has its length before it."""
    n = int.from_bytes(data[:2], "big")
    return data[2 : 2 + n], data[2 + n :]


def publish_body(topic: str, payload: bytes) -> bytes:
    """Return the body of a message with QoS 0."""
    return len(topic.encode()).to_bytes(2, "big") + topic.encode() + payload


async def run(port: int, login: tuple[str, str] | None, certificate: str | None) -> None:
    """Serve until killed."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(Broker(login).serve, "127.0.0.1", port, ssl=context)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--login", help="USER:PASSWORD that clients must give")
    parser.add_argument("--certificate", help="PEM file with certificate and key: TLS only")
    given = parser.parse_args()
    user, colon, password = (given.login or "").partition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(given.port, (user, password) if colon else None, given.certificate))


if __name__ == "__main__":
    main()
