"""What is lost on the way to user space is counted: requests in the tables and requests lost are all requests."""

from __future__ import annotations

from httptop.capture.live import LiveSource
from httptop.capture.system import identify
from httptop.engine import Engine
from httptop.export import View
from httptop.worker import finish
from tests.support import load
from tests.support.net import Site
from tests.support.nginx import Nginx

SMALL_RING = 1 << 16  # holds some 250 records
COUNTS = (53, 1999, 307)  # nobody reads during each of these; the second is far too much


def test_small_ring_keeps_the_totals(wire: Site, web: Nginx) -> None:
    """With a ring much too small, totals are exactly nginx's, and completeness is the share that is in the tables."""
    before = len(web.log())
    with wire.server.entered():
        source = LiveSource(("veth0",), ring_bytes=SMALL_RING, keep_root=True)
        try:
            source.open()
            engine = Engine(source.info, source.epoch_offset_ns, identify)
            for count in COUNTS:
                load.hammer(wire.client, wire.server4, web.port, count)
                engine.feed(source.read(0))
            web.wait_log(sum(COUNTS), before)
            snapshot = finish(source, engine)
        finally:
            source.close()
    total = sum(COUNTS)
    assert len(web.log(before)) == total
    assert (snapshot.totals.requests, snapshot.totals.responses) == (total, total)
    assert snapshot.totals.by_method == (("GET", total),)
    assert snapshot.totals.by_status == (("2xx", total),)
    in_tables = sum(row.requests for row in View().urls(snapshot, None)[0])
    lost = next(row.events for row in snapshot.losses if row.reason == "ring_request")
    assert in_tables + lost == total
    assert 0 < in_tables < total
    assert snapshot.completeness == in_tables / total
