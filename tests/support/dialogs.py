"""Connections as frames, with the exchanges that are in them; and what messages are made of."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.frames import ACK, Talk

Row = tuple["str | None", str, "int | None", "int | None"]
"""method, target, status, response bytes"""

GET = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GOT: Row = ("GET", "/a", 200, len(OK))
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MSS = 1448
WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def get(target: object, method: str = "GET", *fields: bytes) -> bytes:
    """A request without a body."""
    start = f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n".encode()
    return start + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def post(target: object, body: bytes, method: str = "POST") -> bytes:
    """A request with a body of known length."""
    return get(target, method, b"Content-Length: %d" % len(body)) + body


def ok(body: bytes, status: str = "200 OK", *fields: bytes) -> bytes:
    """A response with a body of known length."""
    start = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode()
    return start + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def chunks(*parts: bytes) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


def cut(data: bytes, size: int) -> list[bytes]:
    """Pieces of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def end_text(address: str, port: int) -> str:
    """As the log names it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Dialog(Talk):
    """A connection whose frames go to its script, and what is expected of it."""

    def __init__(self, script: Script, *, v6: bool = False, isn: int = 1000,
                 link: Link | None = None) -> None:
        super().__init__(v6=v6, isn=isn)
        self.rows: list[Row] = []
        self.script = script
        self._link = link

    @property
    def ends(self) -> tuple[str, str]:
        """Client and server as the log names them."""
        client, server = map(end_text, self.addresses, self.ports)
        return client, server

    def frame(self, sender: int, payload: bytes, *, flags: int = ACK, seq: int | None = None) -> bytes:
        """As Talk's, with the headers that this dialog has."""
        if self._link is None:
            return super().frame(sender, payload, flags=flags, seq=seq)
        return self._link(self, sender, self.segment(sender, payload, flags=flags, seq=seq))

    def say(self, sender: int, payload: bytes, *, flags: int = ACK, seq: int | None = None) -> None:
        """One segment."""
        self.script.frames.append(self.frame(sender, payload, flags=flags, seq=seq))

    def ask(self, *payloads: bytes) -> None:
        """Segments of the client."""
        for payload in payloads:
            self.say(0, payload)

    def answer(self, *payloads: bytes) -> None:
        """Segments of the server."""
        for payload in payloads:
            self.say(1, payload)

    def lose(self, sender: int, payload: bytes) -> None:
        """A segment that nobody captured."""
        self.frame(sender, payload)

    def expect(self, *rows: Row) -> None:
        """The next exchanges of this connection, in order of their requests."""
        self.rows += rows

    def exchange(self, request: bytes = GET, response: bytes = OK, row: Row = GOT) -> None:
        """One of a segment each."""
        self.ask(request)
        self.answer(response)
        self.expect(row)


class Script:
    """What a case puts on the wire, in order. `counts`: what it adds to `skipped` and `losses`, where it does."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.dialogs: list[Dialog] = []
        self.counts: dict[str, int] = {}

    def dialog(self, *, v6: bool = False, isn: int = 1000, link: Link | None = None) -> Dialog:
        """Another connection."""
        self.dialogs.append(Dialog(self, v6=v6, isn=isn, link=link))
        return self.dialogs[-1]

    def count(self, **counts: int) -> None:
        """Expect these under their names."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


Case = Callable[[Script], None]
Link = Callable[[Dialog, int, bytes], bytes]
"""Sender and segment -> frame"""
