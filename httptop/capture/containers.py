"""Which container a process is in: by its cgroup, with the name where a runtime's files tell it.

Runtimes put the id, 64 hexadecimal digits, into the path of the cgroup, on cgroup v1 and v2, with the cgroupfs and the
systemd driver: /docker/ID, docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope, crio-ID.scope, nerdctl-ID.scope,
/kubepods/burstable/podUID/ID, kubepods-besteffort-podUID.slice:cri-containerd:ID.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator

SHORT = 12  # digits of an id, as the runtimes print it
NAMES_MAX = 8192
DIRECTORY_MAX = 4096  # entries of a directory that are looked at

_ID = re.compile(r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?=$|/)")
_POD = re.compile(r"[/-]pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
_SUPERVISOR = "-conmon-"  # Podman's and CRI-O's monitor of a container has a scope of its own

DOCKER = "/var/lib/docker/containers"
PODMAN = ("/var/lib/containers/storage", "/run/containers/storage")  # and CRI-O
KUBELET = "/var/log/containers"
NERDCTL = "/var/lib/nerdctl"


def container_id(cgroup: str) -> str | None:
    """`cgroup`: the text of /proc/PID/cgroup. The innermost container; None when there is none."""
    for line in cgroup.splitlines():
        found = _ID.findall(_path(line))
        if found and _SUPERVISOR + found[-1] not in line:
            return str(found[-1])
    return None


def pod_uid(cgroup: str) -> str | None:
    """The Kubernetes pod, by its uid."""
    for line in cgroup.splitlines():
        found = _POD.findall(_path(line))
        if found:
            return str(found[-1]).replace("_", "-")
    return None


def _path(line: str) -> str:
    """Path of one line: "hierarchy:controllers:path" (cgroups(7))."""
    return line.split(":", 2)[-1]


class Containers:
    """Names of containers. `root`: where the host's file system is, for tests."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._names: dict[str, str] = {}

    def learn(self) -> None:
        """Read what needs root: containers that start later have a name only where it is readable by all."""
        for identifier, name in self._all():
            if len(self._names) >= NAMES_MAX:
                return
            self._names[identifier] = name

    def describe(self, cgroup: str) -> str | None:
        """`name (short id)`, or the short id, or the pod; None: not in a container."""
        identifier = container_id(cgroup)
        if identifier is None:
            pod = pod_uid(cgroup)
            return f"pod {pod}" if pod else None
        name = self._names.get(identifier)
        if name is None:
            name = self._names[identifier] = self._late(identifier) if len(self._names) < NAMES_MAX else ""
        return f"{name} ({identifier[:SHORT]})" if name else identifier[:SHORT]

    def _all(self) -> Iterator[tuple[str, str]]:
        yield from self._kubernetes()
        yield from self._docker()
        for storage in PODMAN:
            yield from self._podman(f"{self._root}{storage}/overlay-containers/containers.json")
        yield from self._nerdctl()

    def _late(self, identifier: str) -> str:
        """Kubernetes' log links are readable by all."""
        return next((name for found, name in self._kubernetes() if found == identifier), "")

    def _docker(self) -> Iterator[tuple[str, str]]:
        for identifier in _entries(self._root + DOCKER):
            found = _json(f"{self._root}{DOCKER}/{identifier}/config.v2.json")
            if isinstance(found, dict) and isinstance(found.get("Name"), str):
                yield identifier, found["Name"].lstrip("/")

    def _podman(self, path: str) -> Iterator[tuple[str, str]]:
        found = _json(path)
        for entry in found if isinstance(found, list) else ():
            if isinstance(entry, dict) and entry.get("names"):
                yield str(entry.get("id")), _crio(str(entry["names"][0]))

    def _nerdctl(self) -> Iterator[tuple[str, str]]:
        """Names are files that hold the id: HASH/names/NAMESPACE/NAME."""
        base = self._root + NERDCTL
        for store in _entries(base):
            for namespace in _entries(f"{base}/{store}/names"):
                for name in _entries(f"{base}/{store}/names/{namespace}"):
                    yield _text(f"{base}/{store}/names/{namespace}/{name}").strip(), name

    def _kubernetes(self) -> Iterator[tuple[str, str]]:
        """Log links are called POD_NAMESPACE_CONTAINER-ID.log (kubelet's naming)."""
        for link in _entries(self._root + KUBELET):
            match = re.fullmatch(r"(.+)_(.+)_(.+)-([0-9a-f]{64})\.log", link)
            if match:
                yield match[4], f"{match[2]}/{match[1]}/{match[3]}"


def _crio(name: str) -> str:
    """CRI-O's k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT -> NAMESPACE/POD/CONTAINER; others as they are."""
    parts = name.split("_")
    return f"{parts[3]}/{parts[2]}/{parts[1]}" if parts[0] == "k8s" and len(parts) == 6 else name


def _entries(path: str) -> Iterable[str]:
    with contextlib.suppress(OSError):
        return sorted(os.listdir(path))[:DIRECTORY_MAX]
    return ()


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""


def _json(path: str) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(_text(path))
    return None
