"""What is going on around the watched interfaces, as this host tells it."""

from __future__ import annotations

import socket

from httptop.capture.around import EVERY_S, Around
from httptop.records import endpoint


def test_who_listens() -> None:
    """An endpoint is there while somebody listens on it, IPv4 and IPv6."""
    around = Around(("eth0",))
    with (socket.create_server(("127.0.0.1", 0)) as four,
          socket.create_server(("::1", 0), family=socket.AF_INET6) as six):
        assert around.look(0.0)
        ends = (endpoint(b"\x7f\0\0\1", four.getsockname()[1]), endpoint(bytes(15) + b"\1", six.getsockname()[1]))
        assert set(ends) <= set(around.listening)
    assert around.look(EVERY_S)
    assert not set(ends) & set(around.listening)


def test_other_interfaces_with_traffic() -> None:
    """Where packets went since the look before, but for the watched interfaces; not oftener than it is allowed."""
    elsewhere, here, everywhere = Around(("eth0",)), Around(("lo",)), Around(("any",))
    for around in (elsewhere, here, everywhere):
        around.look(0.0)
        assert around.busy == ()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))
    for around in (elsewhere, here, everywhere):
        assert not around.look(EVERY_S / 2)
        assert around.look(EVERY_S)
    assert "lo" in elsewhere.busy
    assert "lo" not in here.busy
    assert everywhere.busy == ()
