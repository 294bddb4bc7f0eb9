"""The same application for gunicorn (`wsgi`) and uvicorn (`asgi`, run as: app.py PORT); LOG is in the environment."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any


def served() -> bytes:
    """Log one request; the answer."""
    fd = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND)
    line = b"%d\n" % os.getpid()
    os.write(fd, line)
    os.close(fd)
    return line


def wsgi(_environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """PEP 3333."""
    line = served()
    start_response("200 OK", [("Content-Length", str(len(line)))])
    return [line]


async def asgi(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """ASGI 3, HTTP only."""
    if scope["type"] == "http":
        line = served()
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", str(len(line)).encode())]})
        await send({"type": "http.response.body", "body": line})


if __name__ == "__main__":
    import uvicorn

    # asyncio's own listening sockets are IPv6 only
    here = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
    uvicorn.Server(uvicorn.Config(asgi, log_level="warning")).run(sockets=[here])
