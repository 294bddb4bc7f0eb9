"""A real web server with a generated configuration, and what its own access log says."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.support.net import Namespace
from tests.support.poll import PATIENCE_S, until

PORT = 8083
SIZES = {"1k": 1 << 10, "64k": 64 << 10, "1m": 1 << 20}

CONFIG = """
daemon off;
user root;
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  log_format exact escape=json '{{"pid":$pid,"connection":$connection,"client":"$remote_addr","port":$remote_port,'
    '"method":"$request_method","host":"$http_host","target":"$request_uri","status":$status,"sent":$bytes_sent,'
    '"seconds":$request_time}}';
  access_log {log};
  default_type text/plain;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  server {{
    listen {port} reuseport;
    listen [::]:{port} reuseport ipv6only=on;
    root {folder}/www;
    location /ok {{ return 200 "ok\\n"; }}
    location /created {{ return 201 "made\\n"; }}
    location /empty {{ return 204; }}
    location /moved {{ return 301 /ok; }}
    location /missing {{ return 404 "no\\n"; }}
    location /broken {{ return 500 "broken\\n"; }}
    location /files/ {{ sendfile on; }}
    {locations}
  }}
  server {{
    listen unix:{folder}/status.sock;
    access_log off;
    location / {{ stub_status; }}
  }}
}}
"""


class Access(NamedTuple):
    """One line of the access log."""

    pid: int
    connection: int
    client: str
    port: int
    method: str
    host: str
    target: str
    status: int
    sent: int
    seconds: float


@dataclass
class Nginx:
    """A running server; `folder` holds its files."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int = PORT
    _asked: int = 0

    def url(self, address: str) -> str:
        """Where it is reached at `address`, without a path."""
        return f"http://[{address}]:{self.port}" if ":" in address else f"http://{address}:{self.port}"

    def log(self, since: int = 0) -> list[Access]:
        """Requests answered so far, from number `since` on: nginx writes each one before it is idle again."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [Access(**json.loads(line)) for line in lines[since:]]

    def requests(self) -> int:
        """Requests that the server has handled, by its own count; asked over a Unix socket, which no one watches."""
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(str(self.folder / "status.sock"))
            end.sendall(b"GET / HTTP/1.0\r\n\r\n")
            page = b"".join(iter(lambda: end.recv(4096), b""))
        self._asked += 1
        # "server accepts handled requests\n 16 16 31"
        return int(page.split(b"requests")[1].split()[2]) - self._asked

    def wait_log(self, count: int, since: int = 0) -> list[Access]:
        """The log from number `since` on, once it holds `count` requests."""
        until(lambda: len(self.log(since)) >= count, f"{count} requests in nginx's log")
        return self.log(since)


def binary() -> str | None:
    """Path of nginx; distributions hide it in sbin, which a user's PATH may lack."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def nginx(folder: Path, where: Namespace | None, *, workers: int = 2, log: bool = True,
          port: int = PORT, locations: str = "") -> Iterator[Nginx]:
    """Run nginx with `workers` workers in `where` (None: here), ready when this returns; more `locations` if given."""
    program = binary()
    assert program, "nginx is not installed"
    for name, size in SIZES.items():
        file = folder / "www/files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    config = folder / "nginx.conf"
    access = f"{folder}/access.log exact" if log else "off"
    config.write_text(CONFIG.format(folder=folder, workers=workers, port=port, log=access,
                                    locations=locations))
    words = [program, "-p", str(folder), "-c", str(config)]
    process = subprocess.Popen(where.command(*words) if where else words, stderr=subprocess.DEVNULL)
    try:
        # The pid file is written after the sockets listen.
        until(lambda: (folder / "pid").exists() or process.poll() is not None, "nginx")
        assert process.poll() is None, (folder / "error.log").read_text()
        yield Nginx(folder, process, port)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
