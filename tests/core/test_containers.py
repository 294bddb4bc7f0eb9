"""The container of a process, by the cgroup texts that runtimes leave in /proc/PID/cgroup, and by their files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from httptop.capture.containers import Containers, container_id, pod_uid

ID = "8e1f0b6c2f4d4e4b9a7c3f7d5a6b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d"
OTHER = "f" * 64
POD = "0c8a3b5e-7d1f-4c55-9b0e-2f6d1a9c4e77"
POD_ = POD.replace("-", "_")

# name -> text of /proc/PID/cgroup
RECORDED = {
    "docker, v1, cgroupfs": f"12:pids:/docker/{ID}\n11:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n",
    "docker, v2, systemd": f"0::/system.slice/docker-{ID}.scope\n",
    "docker, v1 and v2": f"4:memory:/system.slice/docker-{ID}.scope\n0::/system.slice/docker-{ID}.scope\n",
    "docker, rootless": f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope\n",
    "docker below a parent": f"0::/batch.slice/docker-{ID}.scope/init\n",
    "podman, v2": f"0::/machine.slice/libpod-{ID}.scope/container\n",
    "podman, rootless": f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container\n",
    "podman, cgroupfs": f"9:pids:/libpod_parent/libpod-{ID}\n",
    "containerd, ctr": f"0::/default/{ID}\n",
    "nerdctl": f"0::/system.slice/nerdctl-{ID}.scope\n",
    "kubernetes, v1, cgroupfs": f"8:memory:/kubepods/burstable/pod{POD}/{ID}\n",
    "kubernetes, containerd": f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/"
                              f"cri-containerd-{ID}.scope\n",
    "kubernetes, CRI-O": f"0::/kubepods.slice/kubepods-pod{POD_}.slice/crio-{ID}.scope\n",
    "kubernetes, containerd, drivers mixed": f"11:pids:/system.slice/containerd.service/kubepods-besteffort-pod{POD_}"
                                             f".slice:cri-containerd:{ID}\n",
    "kubernetes in a container": f"0::/docker/{OTHER}/kubelet/kubepods/besteffort/pod{POD}/{ID}\n",
    "own cgroup namespace": f"0::/../docker-{ID}.scope\n",
}
NONE = {
    "login": "0::/user.slice/user-1000.slice/session-3.scope\n",
    "service": "12:pids:/system.slice/nginx.service\n0::/system.slice/nginx.service\n",
    "podman's monitor": f"0::/machine.slice/libpod-conmon-{ID}.scope\n",
    "CRI-O's monitor": f"0::/system.slice/crio-conmon-{ID}.scope\n",
    "short": f"0::/system.slice/docker-{ID[:40]}.scope\n",
    "other digits": f"0::/docker/{ID.upper()}\n",
    "kernel without cgroups": "",
}


@pytest.mark.parametrize("text", RECORDED.values(), ids=RECORDED.keys())
def test_in_a_container(text: str) -> None:
    """Every runtime's way to write the id is understood, the innermost counts."""
    assert container_id(text) == ID
    assert Containers("/nowhere").describe(text) == ID[:12]


@pytest.mark.parametrize("text", NONE.values(), ids=NONE.keys())
def test_in_none(text: str) -> None:
    """What is no container is none."""
    assert container_id(text) is None
    assert Containers("/nowhere").describe(text) is None


def test_pod() -> None:
    """The pod's uid is found in both ways to write it, and stands for a process that is in no container of the pod."""
    assert pod_uid(RECORDED["kubernetes, containerd"]) == pod_uid(RECORDED["kubernetes, v1, cgroupfs"]) == POD
    assert pod_uid(RECORDED["docker, v2, systemd"]) is None
    assert Containers("/nowhere").describe(f"0::/kubepods/pod{POD}\n") == f"pod {POD}"


def docker(root: Path) -> None:
    folder = root / "var/lib/docker/containers" / ID
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(json.dumps({"ID": ID, "Name": "/web"}))


def podman(root: Path) -> None:
    folder = root / "var/lib/containers/storage/overlay-containers"
    folder.mkdir(parents=True)
    (folder / "containers.json").write_text(json.dumps([{"id": ID, "names": ["web"]}, {"id": OTHER}]))


def crio(root: Path) -> None:
    folder = root / "run/containers/storage/overlay-containers"
    folder.mkdir(parents=True)
    (folder / "containers.json").write_text(json.dumps([{"id": ID, "names": [f"k8s_web_shop-1_prod_{POD}_0"]}]))


def nerdctl(root: Path) -> None:
    folder = root / "var/lib/nerdctl/1935db59/names/default"
    folder.mkdir(parents=True)
    (folder / "web").write_text(ID)


def kubelet(root: Path) -> None:
    folder = root / "var/log/containers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"shop-1_prod_web-{ID}.log").symlink_to("/var/log/pods/x/0.log")


@pytest.mark.parametrize(("files", "name"), [
    (docker, "web"), (podman, "web"), (nerdctl, "web"), (crio, "prod/shop-1/web"), (kubelet, "prod/shop-1/web")])
def test_name(tmp_path: Path, files: type, name: str) -> None:
    """The name that the runtime's files tell stands before the id."""
    files(tmp_path)
    containers = Containers(str(tmp_path))
    containers.learn()
    assert containers.describe(f"0::/docker/{ID}\n") == f"{name} ({ID[:12]})"


def test_name_of_a_later_container(tmp_path: Path) -> None:
    """What is readable by all is still found after the start."""
    containers = Containers(str(tmp_path))
    containers.learn()
    kubelet(tmp_path)
    assert containers.describe(f"0::/kubepods/pod{POD}/{ID}\n") == f"prod/shop-1/web ({ID[:12]})"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Name": 7}', '{"Name": null}', "\xff"])
def test_broken_files(tmp_path: Path, text: str) -> None:
    """A file that is not what it should be leaves the id."""
    docker(tmp_path)
    (tmp_path / "var/lib/docker/containers" / ID / "config.v2.json").write_text(text, encoding="latin-1")
    containers = Containers(str(tmp_path))
    containers.learn()
    assert containers.describe(f"0::/docker/{ID}\n") == ID[:12]
