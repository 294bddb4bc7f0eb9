"""Traffic of every shape on the loopback of a namespace: between sockets of this process, and to a real server.

What is said, and how it is cut, is decided by a seed. A response is never sent before its request has arrived, and no
segment is seen before the one that it follows: what is lost is lost behind those who watch.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.support import load, tcp
from tests.support.cases import BY_SOCKETS
from tests.support.dialogs import CHUNKED, GET, NOT_FOUND, OK, chunks, get, ok, post
from tests.support.net import Namespace, Site
from tests.support.nginx import Nginx
from tests.support.poll import PATIENCE_S
from tests.support.said import SocketScript

V4, V6 = "127.0.0.1", "::1"
ROUNDS = 3  # the first two teach
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
CHUNKED_POST = get("/chunks", "POST", b"Transfer-Encoding: chunked") + chunks(b"one", b"two" * 40)
MENU = (
    *[(GET, OK)] * 4, *[(GET, ok(b"longer"))] * 2, (get("/b"), NOT_FOUND), (get("/b"), OK),
    (get("/head", "HEAD"), ok(b"x" * 20)[:-20]), (get("/none"), b"HTTP/1.1 204 No Content\r\n\r\n"),
    (get("/same"), b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'), (post("/up", b"a=1"), ok(b"", "201 Created")),
    (get("/chunked"), CHUNKED + chunks(b"some", b"more" * 90)), (CHUNKED_POST, OK), (get("/long"), ok(b"z" * 5000)),
    (get("/find?"), OK), (get("/find?q=1"), OK), (get("/find?q=22&r"), ok(b"found")), (get("/find?q=3?/"), OK),
    (get("/page"), CHUNKED + chunks(b"page")), (get("/page"), CHUNKED + chunks(b"p" * 4000)),
    *[(post("/api", b'{"id": %d}' % number), OK) for number in (1, 2, 33, 44)], (post("/api", b"z" * 3000), OK),
    (get("/find"), OK), (get("/broken"), ok(b"sorry", "500 Internal Server Error")), (get("/like"), ok(OK + GET)),
)
PLAN = (("GET", "/ok", 9), ("HEAD", "/ok", 5), ("POST", "/created", 5), ("GET", "/empty", 5), ("GET", "/missing", 5),
        ("GET", "/moved", 3), ("GET", "/broken", 5), ("DELETE", "/ok", 3), ("GET", "/files/64k", 5),
        ("GET", "/files/1m", 3), ("POST", "/files/1k", 3))
TARGETS = ("/ok", "/ok", "/ok", "/created", "/empty", "/missing", "/broken", "/files/1k", "/files/64k")


class Pair:
    """Both ends of a connection; 0 is the client."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._ends = client, server

    def say(self, sender: int, *parts: bytes) -> None:
        """Each part is a segment of its own; all are read before this returns."""
        tcp.send_segments(self._ends[sender], *parts)
        tcp.receive(self._ends[1 - sender], sum(map(len, parts)))

    def exchange(self, request: bytes = GET, response: bytes = OK) -> None:
        """A segment each."""
        self.say(0, request)
        self.say(1, response)

    def end(self, sender: int, *, reset: bool) -> None:
        """Close this end, by RST or by FIN."""
        if reset:
            self._ends[sender].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._ends[sender].close()

    def say_twice(self, sender: int, data: bytes) -> None:
        """The receiver drops it at first, behind those who watch: a retransmission follows."""
        code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))  # return 0: classic BPF's "drop"
        end = self._ends[1 - sender]
        end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))
        tcp.send_segments(self._ends[sender], data)
        end.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        tcp.receive(end, len(data))


@contextlib.contextmanager
def pair(where: Namespace, address: str = V4) -> Iterator[Pair]:
    """A fresh connection."""
    with tcp.conversation(where, where, address) as ends:
        yield Pair(*ends)


def cut(dice: random.Random, data: bytes) -> list[bytes]:
    """Up to five parts."""
    places = sorted(dice.randrange(1, len(data)) for _ in range(dice.randrange(5)))
    parts = (data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True))
    return [part for part in parts if part]


def converse(where: Namespace, seed: int) -> None:
    """Keep-alive connections on which anything is said: in turn, asked ahead, cut anywhere, ended anywhere."""
    dice = random.Random(seed)
    for _ in range(60):
        with pair(where, dice.choice((V4, V4, V6))) as talk:
            for _ in range(dice.randrange(6)):
                talk.exchange(*dice.choice(MENU))
            said = dice.choices(MENU, k=dice.randrange(1, 5))
            asked, answered = ([one[way] for one in said] for way in (0, 1))
            how = dice.choice((list, lambda parts: [b"".join(parts)], lambda parts: cut(dice, b"".join(parts))))
            talk.say(0, *how(asked))
            talk.say(1, *dice.choice((list, how))(answered))
            for _ in range(dice.randrange(3)):
                talk.exchange(*dice.choice(MENU))
            request, answer = dice.choice(MENU)
            sender = dice.randrange(2)
            if dice.random() < 0.5:
                talk.say(0, request if sender else request[: dice.randrange(1, len(request) + 1)])
                if sender:
                    talk.say(1, answer[: dice.randrange(1, len(answer) + 1)])
            talk.end(sender, reset=dice.random() < 0.5)


def end_everywhere(where: Namespace, _: int) -> None:
    """Connections that end behind each byte of a request and of an answer, and while one waits; some were in use."""
    for sender, message in ((0, GET), (1, OK)):
        for at in range(len(message) + 1):
            with pair(where) as talk:
                if at % 2:
                    talk.exchange()
                if sender:
                    talk.say(0, GET)
                if at:
                    talk.say(sender, message[:at])
                talk.end(sender if at % 3 else 1 - sender, reset=at % 4 < 2)
    for number in range(12):
        with pair(where) as talk:
            for _ in range(number % 3):
                talk.exchange()
            talk.say(0, GET)
            talk.end(number % 2, reset=number % 4 < 2)


def retransmit(where: Namespace, seed: int) -> None:
    """Segments that come twice, of messages that are known and of others, whole and cut."""
    dice = random.Random(seed)
    with pair(where, dice.choice((V4, V6))) as talk:
        for _ in range(3):
            talk.exchange()
            for sender, message in enumerate(dice.choice(MENU)):
                how = dice.choice((lambda data: [data], lambda data: cut(dice, data)))
                *first, last = how(message)
                if first:
                    talk.say(sender, *first)
                (talk.say_twice if dice.random() < 0.5 else talk.say)(sender, last)


def cases(where: Namespace, _: int) -> None:
    """All conversations that are tried elsewhere, as often as it takes to be taught."""
    here = Site(where, where, "lo", V4, V4, V6, V6)
    for _ in range(ROUNDS):
        for case in BY_SOCKETS:
            with contextlib.ExitStack() as undo:
                case(SocketScript(here, undo))


def _ask(where: Namespace, address: str, port: int, *parts: bytes, pause_s: float = 0.0) -> socket.socket:
    end = where.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    end.settimeout(PATIENCE_S)
    end.connect((address, port))
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for part in parts:
        end.sendall(part)
        time.sleep(pause_s)
    return end


def ask_server(where: Namespace, port: int, seed: int) -> None:
    """Requests to a real server: pipelined, cut anywhere with a pause between, given up in the middle of an answer."""
    dice = random.Random(seed)
    for number in range(60):
        address = dice.choice((V4, V6))
        targets = dice.choices(TARGETS, k=dice.randrange(1, 6))
        requests = [get(target) for target in targets[:-1]] + [get(targets[-1], "GET", b"Connection: close")]
        parts = requests if number % 3 == 0 else cut(dice, b"".join(requests))
        if number % 3 == 2:
            parts[-1] = parts[-1][: dice.randrange(1, len(parts[-1]) + 1)]
        with _ask(where, address, port, *parts, pause_s=dice.choice((0, 0, 0.001))) as end:
            if number % 3 != 2:
                while end.recv(65536):
                    pass
            elif dice.random() < 0.5:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for reset in (0, 1) * 2:
        with _ask(where, V4, port, get("/files/1m")) as end:
            tcp.receive(end, 20_000)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))


def keep_alive(where: Namespace, web: Nginx) -> None:
    """The same requests again and again, until the kernel knows them, and curl with a few of each kind."""
    for _ in range(10):
        for address in (V4, V6):
            load.hammer(where, address, web.port, 150)
        time.sleep(0.1)  # who watches gets round to reading
    for _ in load.calls(where, [web.url(V4), web.url(V6)], PLAN):
        pass


@contextlib.contextmanager
def traffic(where: Namespace, web: Nginx, seed: int) -> Iterator[None]:
    """All of it at once and to its end; a few requests wait for their answers as long as the context lasts."""
    own: Sequence[Callable[[Namespace, int], None]] = (cases, converse, converse, end_everywhere, *[retransmit] * 12)
    with ThreadPoolExecutor(max_workers=24) as pool, contextlib.ExitStack() as undo:
        running = [pool.submit(what, where, seed + number) for number, what in enumerate(own)]
        running += [pool.submit(keep_alive, where, web), pool.submit(ask_server, where, web.port, seed)]
        for one in running:
            one.result()
        for number in range(6):
            talk = undo.enter_context(pair(where))
            for _ in range(number):
                talk.exchange()
            talk.say(0, GET if number % 2 else get("/b"))
        yield
