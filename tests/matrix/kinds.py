"""The servers of the matrix, as their projects say they are run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.support.servers import Kind

HERE = Path(__file__).parent / "served"
SBIN = "/usr/sbin:/usr/local/sbin"
MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")
LARGE = 3_000_001  # a file that is sent with several calls of sendfile()

NGINX = """
daemon off;
user root;
worker_processes %d;
pid {folder}/pid;
error_log {folder}/error.log warn;
events { worker_connections 1024; }
http {
  log_format pid '$pid';
  access_log {log} pid;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  sendfile on;
  server {
    listen {port} reuseport;
    listen [::]:{port} reuseport ipv6only=on;
    root {folder};
    index index.html;
  }
}
"""

APACHE = """
ServerName localhost
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
LoadModule mpm_%s_module %s/mod_mpm_%s.so
LoadModule authz_core_module %s/mod_authz_core.so
LogFormat "%%P" pid
CustomLog {log} pid
DocumentRoot {folder}
StartServers 3
KeepAlive On
Listen {port}
"""


def program(*names: str) -> str:
    """Path of the first that is installed, else its name."""
    return next((found for name in names if (found := shutil.which(name) or shutil.which(name, path=SBIN))), names[0])


def nginx(workers: int) -> Kind:
    """A file by sendfile()."""
    return Kind(f"nginx-{workers}", (program("nginx"), "-p", "{folder}", "-c", "{folder}/nginx.conf"), "nginx",
                {"nginx.conf": NGINX % workers, "index.html": "x" * LARGE})


def apache(mpm: str) -> Kind:
    """Apache httpd with one of its process models."""
    modules = next((path for path in MODULES if Path(path).is_dir()), MODULES[0])
    httpd = program("apache2", "httpd")
    return Kind(f"apache-{mpm}", (httpd, "-f", "{folder}/httpd.conf", "-DFOREGROUND"), Path(httpd).name,
                {"httpd.conf": APACHE % (mpm, modules, mpm, modules), "index.html": "x" * LARGE})


def node(workers: int) -> Kind:
    """Node's http; with workers, behind its cluster module."""
    return Kind("node-cluster" if workers else "node",
                (program("node"), str(HERE / "server.js"), "{port}", "{log}", str(workers)), "node")


def gunicorn() -> Kind:
    """Pre-forked synchronous workers."""
    return Kind("gunicorn", (sys.executable, "-m", "gunicorn", "-w", "3", "-b", "[::]:{port}", "--no-control-socket",
                             "--chdir", str(HERE), "app:wsgi"), Path(sys.executable).name, env={"LOG": "{log}"})


def uvicorn() -> Kind:
    """One process with an event loop."""
    return Kind("uvicorn", (sys.executable, str(HERE / "app.py"), "{port}"), Path(sys.executable).name,
                env={"LOG": "{log}"})


def go() -> Kind:
    """Go's net/http."""
    return Kind("go", ("{folder}/server", "{port}", "{log}"), "server",
                build=(program("go"), "build", "-o", "{folder}/server", str(HERE / "server.go")),
                env={"GOCACHE": "{folder}/cache", "GO111MODULE": "off", "GOFLAGS": "-p=2"})


def java() -> Kind:
    """Java's own HttpServer, with a pool of threads."""
    return Kind("java", (program("java"), str(HERE / "Server.java"), "{port}", "{log}"), "java", start_s=60)


def uring() -> Kind:
    """io_uring with a multishot accept."""
    return Kind("io_uring", ("{folder}/uring", "{port}", "{log}"), "uring",
                build=("gcc", "-O1", "-o", "{folder}/uring", str(HERE / "uring.c"), "-luring"))


KINDS = (nginx(1), nginx(4), apache("prefork"), apache("event"), node(0), node(3), go(), java(), gunicorn(), uvicorn(),
         uring())
