"""Snapshots as the engine would make them, of calm and of bad days: frozen, and the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator

from httptop import stats
from httptop.records import endpoint
from httptop.snapshot import (
    AcceptRow,
    AttributionRow,
    Cell,
    Exchange,
    InFlightRow,
    LossRow,
    Process,
    SelfCost,
    Snapshot,
    SourceInfo,
    Totals,
)

START_NS = 1_750_000_000_000_000_000
WINDOW_S = 5.0
TOO_FAST = "httptop could not read as fast: narrow it with --port, or give it more CPU"
REASONS = (("ring_request", TOO_FAST), ("ring_response", TOO_FAST),
           ("perf_accept", "accept() events came too fast: accepts/s is too low, the rest is right"))

NGINX = Process(1042, "nginx", 1_749_000_000.0, "nginx: worker process")
NGINX_2 = Process(1043, "nginx", 1_749_000_000.0, "nginx: worker process")
API = Process(2311, "gunicorn", 1_749_100_000.0, "/srv/api/.venv/bin/gunicorn -k uvicorn.workers.UvicornWorker api:app",
              "docker:3f1c9a77b2d4", "www-data")
AUTH = Process(2790, "java", 1_749_100_500.0, "java -Xmx2g -jar /opt/auth/auth-service.jar --spring.profiles=prod",
               "docker:b81e02c61a90")
CURL = Process(48211, "curl", 1_750_000_700.0, "curl -s http://api.shop.example/v1/health")
CRAWLER = Process(3120, "python3", 1_749_900_000.0, "python3 /opt/feeds/crawl.py --all")
SERVERS = (NGINX, NGINX_2, API, AUTH)

# method, host, path, server, client, requests, median ms, share of each status
TRAFFIC = (
    ("GET", "api.shop.example", "/v1/products", API, NGINX, 184_302, 12.4, {200: 0.985, 304: 0.01, 404: 0.005}),
    ("GET", "www.shop.example", "/", NGINX, None, 96_120, 1.9, {200: 0.7, 304: 0.3}),
    ("GET", "static.shop.example", "/assets/app-5d1f0c.js", NGINX_2, None, 88_734, 0.34, {200: 0.62, 304: 0.38}),
    ("GET", "static.shop.example", "/assets/app-5d1f0c.css", NGINX_2, None, 80_241, 0.29, {200: 0.6, 304: 0.4}),
    ("POST", "auth.shop.example", "/oauth2/token", AUTH, API, 31_007, 48.0, {200: 0.94, 401: 0.06}),
    ("GET", "api.shop.example", "/v1/products/recommendations", API, NGINX, 22_410, 310.0, {200: 0.98, 504: 0.02}),
    ("POST", "api.shop.example", "/v1/cart/items", API, NGINX, 12_533, 35.0, {201: 0.97, 409: 0.03}),
    ("GET", "api.shop.example", "/v1/search", API, NGINX, 11_870, 95.0, {200: 0.995, 500: 0.005}),
    ("PUT", "api.shop.example", "/v1/cart/items/quantity", API, NGINX, 5_120, 28.0, {204: 1.0}),
    ("DELETE", "api.shop.example", "/v1/cart/items", API, NGINX, 2_044, 22.0, {204: 0.9, 404: 0.1}),
    ("GET", "api.shop.example", "/v1/orders", API, NGINX, 1_870, 61.0, {200: 1.0}),
    ("POST", "api.shop.example", "/v1/orders", API, NGINX, 1_102, 240.0, {201: 0.91, 402: 0.06, 500: 0.03}),
    ("PATCH", "api.shop.example", "/v1/customers/me", API, NGINX, 640, 31.0, {200: 1.0}),
    ("GET", "feeds.partner.example", "/export/full/2025/catalogue.xml", None, CRAWLER, 512, 1900.0, {200: 1.0}),
    ("HEAD", "static.shop.example", "/media/hero-1600.avif", NGINX_2, None, 433, 0.21, {200: 1.0}),
    ("GET", "api.shop.example", "/v1/health", API, CURL, 360, 1.2, {200: 1.0}),
    ("OPTIONS", "api.shop.example", "/v1/cart/items", API, NGINX, 311, 0.9, {204: 1.0}),
    ("GET", "10.0.3.7:9100", "/metrics", None, None, 120, 8.1, {200: 1.0}),
    ("GET", "www.shop.example", "/wp-login.php", NGINX, None, 57, 0.6, {404: 1.0}),
    ("GET", "www.shop.example", "/.env", NGINX, None, 41, 0.5, {403: 1.0}),
)


def histogram(rng: random.Random, median_ms: float, count: int) -> tuple[tuple[int, int], ...]:
    """About `count` latencies around a median, as buckets."""
    found: dict[int, int] = {}
    draws = min(count, 60)
    for _ in range(draws):
        index = stats.bucket(int(median_ms * 1e6 * rng.lognormvariate(0, 0.7)))
        found[index] = found.get(index, 0) + max(count // draws, 1)
    return tuple(sorted(found.items()))


def cells_of(rng: random.Random, scale: float, traffic: tuple[tuple, ...] = TRAFFIC) -> tuple[Cell, ...]:
    """The cells of one Snapshot of `traffic`, `scale` times as much of it."""
    made = []
    for method, host, path, server, client, requests, median, statuses in traffic:
        for status, share in statuses.items():
            count = max(int(requests * scale * share), 1)
            latency = histogram(rng, median * (8 if status == 504 else 1), count)
            slowest = max(stats.bucket_ns(index) for index, _ in latency)
            recent = int(count / 144 * rng.uniform(0.8, 1.2))
            size = 0 if status in (204, 304) else rng.randrange(400, 9000)
            made.append(Cell(method, host, path, status, server, client, count, count, recent, latency,
                             int(slowest * 1.01), count * size))
    return tuple(made)


def totals_of(cells: tuple[Cell, ...], lost: int = 0) -> Totals:
    """Totals that agree with the cells."""
    methods: dict[str, int] = {}
    classes: dict[str, int] = {}
    for cell in cells:
        methods[cell.method] = methods.get(cell.method, 0) + cell.requests
        if cell.status:
            name = f"{cell.status // 100}xx"
            classes[name] = classes.get(name, 0) + cell.responses
    if lost:
        methods["GET"] = methods.get("GET", 0) + lost
    return Totals(sum(methods.values()), sum(classes.values()), tuple(sorted(methods.items())),
                  tuple(sorted(classes.items())))


def exchanges_of(rng: random.Random, cells: tuple[Cell, ...], end_ns: int, count: int = 60) -> tuple[Exchange, ...]:
    """The latest exchanges, oldest first."""
    made = []
    for place in range(count if cells else 0):
        cell = rng.choices(cells, [cell.requests for cell in cells])[0]
        latency = stats.bucket_ns(rng.choice(cell.latency)[0])
        made.append(Exchange(
            end_ns - (count - place) * 1_237_000,
            endpoint(bytes([198, 51, 100, rng.randrange(1, 255)]), 40_000 + place),
            endpoint(bytes([10, 0, 0, 5]), 8080), cell.method, cell.host, cell.path, cell.path, "1.1", cell.status,
            latency, cell.response_bytes // max(cell.responses, 1), cell.server, cell.client, "recv", "unknown"))
    return tuple(made)


def base(rng: random.Random, cells: tuple[Cell, ...], *, seconds: float = 764.0, lost: int = 0) -> Snapshot:
    """A Snapshot around `cells`."""
    totals = totals_of(cells, lost)
    rate = sum(cell.recent for cell in cells) / WINDOW_S
    history = tuple(int(rate * (0.7 + 0.25 * abs((second % 34) / 17 - 1) + rng.uniform(0, 0.2)))
                    for second in range(120))
    return Snapshot(
        source=SourceInfo("live", ("eth0",)), start_ns=START_NS, end_ns=START_NS + int(seconds * 1e9),
        rate_window_s=WINDOW_S, totals=totals, requests_per_s=rate, history=history,
        completeness=1 - lost / max(totals.requests, 1), cells=cells,
        accepts=tuple(AcceptRow(server, 900 + 37 * place, 1.4 + 2.1 * place) for place, server in enumerate(SERVERS)),
        attribution=tuple(AttributionRow(server, "server", how, share) for server in SERVERS
                          for how, share in (("recv", 40_000), ("accept", 310))),
        in_flight=(InFlightRow("GET", "feeds.partner.example", "/export/full/2025/catalogue.xml", 3184.0, None,
                               CRAWLER),
                   InFlightRow("GET", "api.shop.example", "/v1/products/recommendations", 612.0, API, NGINX),
                   InFlightRow("POST", "auth.shop.example", "/oauth2/token", 31.0, AUTH, API)),
        in_flight_total=3, exchanges=exchanges_of(rng, cells, START_NS + int(seconds * 1e9)),
        losses=tuple(LossRow(reason, 0, remedy) for reason, remedy in REASONS),
        skipped=(("duplicates", 12), ("fragments", 0), ("tls_flows", 318), ("http2_flows", 4), ("malformed", 0)),
        self_cost=SelfCost(2.1, 41_000_000, 212.0, 9_120_000),
    )


def calm() -> Snapshot:
    """An ordinary day."""
    rng = random.Random(7)
    return base(rng, cells_of(rng, 1.0))


def later(snapshot: Snapshot, seconds: float = 1.0, growth: float = 1.001) -> Snapshot:
    """The same traffic `seconds` later, a little more of it."""
    cells = tuple(cell._replace(requests=int(cell.requests * growth) + 1,
                                responses=int(cell.responses * growth) + 1) for cell in snapshot.cells)
    totals = totals_of(cells, snapshot.lost)
    completeness = 1 - snapshot.lost / max(totals.requests, 1)
    return snapshot._replace(cells=cells, totals=totals, completeness=completeness,
                             history=(*snapshot.history[1:], 1), end_ns=snapshot.end_ns + int(seconds * 1e9))


def over_time(snapshot: Snapshot, refreshes: int = 24) -> Iterator[Snapshot]:
    """The way to this Snapshot, second by second, with rates that go up and down: what trends are made of."""
    rng = random.Random(2)
    shares = [0.0015 * rng.uniform(0.4, 1.3) for _ in range(refreshes)]
    for step in range(refreshes - 1, 0, -1):
        left = sum(shares[:step])
        yield snapshot._replace(
            end_ns=snapshot.end_ns - step * 1_000_000_000,
            cells=tuple(_before(cell, left, rng) for cell in snapshot.cells),
            accepts=tuple(row._replace(accepts=int(row.accepts * (1 - left))) for row in snapshot.accepts))
    yield snapshot


def _before(cell: Cell, share: float, rng: random.Random) -> Cell:
    """The cell when this share of it had not come yet."""
    return cell._replace(
        recent=int(cell.recent * rng.uniform(0.4, 1.0)), requests=int(cell.requests * (1 - share)),
        responses=int(cell.responses * (1 - share)),
        latency=tuple((index, count - int(count * share * rng.uniform(0, 2))) for index, count in cell.latency))


def error_burst() -> Snapshot:
    """The database is gone: orders and search fail, and what waits piles up."""
    rng = random.Random(8)
    broken = tuple((*row[:6], row[6] * 9, {200: 0.35, 500: 0.25, 503: 0.4}) if row[3] is API and row[5] > 1000 else row
                   for row in TRAFFIC)
    snapshot = base(rng, cells_of(rng, 1.0, broken))
    waiting = tuple(InFlightRow("GET", "api.shop.example", "/v1/search" if place % 3 else "/v1/orders",
                                29_400.0 - 2_700 * place, API, NGINX) for place in range(10))
    return snapshot._replace(in_flight=waiting, in_flight_total=212)


def losses() -> Snapshot:
    """More than Python can take: events were lost, totals are exact."""
    rng = random.Random(9)
    snapshot = base(rng, cells_of(rng, 1.0), lost=12_034)
    rows = tuple(LossRow(reason, events, remedy)
                 for (reason, remedy), events in zip(REASONS, (11_202, 832, 0), strict=True))
    return snapshot._replace(losses=rows)


def empty(seconds: float = 12.0) -> Snapshot:
    """Attached, and nothing came but TLS; there is traffic elsewhere."""
    return base(random.Random(1), (), seconds=seconds)._replace(
        accepts=(), attribution=(), in_flight=(), in_flight_total=0, history=(0,) * 12, requests_per_s=0.0,
        source=SourceInfo("live", ("eth0",), busy=("lo", "docker0")))


def gone() -> Snapshot:
    """The interface went away half a minute ago."""
    snapshot = later(calm(), 32.0)
    return snapshot._replace(source=snapshot.source._replace(gone=("eth0",)))


HOSTILE = (
    "/\x1b[2J\x1b]0;owned\x07", "/[bold red]markup[/]", "/\u202egnp.exe", "/zero\u200bwidth\ufeff", "/日本語/パス",
    "/e\u0301\u0301\u0301combining", "/\U0001f4a9\U0001f468\u200d\U0001f469\u200d\U0001f467", "/" + "A" * 8192,
    "/tab\there\r\nX-Injected: 1", "/\udc80\udcff", "/\u0634\u0628\u0643\u0629", "/%1b%5b2J",
)


def hostile() -> Snapshot:
    """Everything that the network may say to break a screen."""
    rng = random.Random(3)
    evil = Process(666, "\x1b[31mevil", 1.0, "sh -c '\x1b[2J'")
    cells = tuple(Cell("GET" if place % 2 else "[red]X[/]", "h\u202eost\x1b[5m", path, 200, evil, None,
                       100 - place, 100 - place, 50 - place, histogram(rng, 3.0, 10), 10**8, 1000)
                  for place, path in enumerate(HOSTILE))
    return base(rng, cells)._replace(accepts=(AcceptRow(evil, 3, 0.2),), attribution=(), in_flight=tuple(
        InFlightRow("GET", "\x1b]8;;http://x\x07", path, 1000.0, evil, None) for path in HOSTILE[:3]))


def unknown_owners() -> Snapshot:
    """Traffic of which no process on this host is known."""
    rng = random.Random(4)
    nobody = tuple((*row[:3], None, None, *row[5:]) for row in TRAFFIC)
    return base(rng, cells_of(rng, 1.0, nobody))._replace(accepts=(), attribution=())


def long_lived() -> Snapshot:
    """Nine days of it."""
    rng = random.Random(5)
    return base(rng, cells_of(rng, 5000.0), seconds=9 * 86400 + 14_706)


def many(rows: int = 10_000) -> Snapshot:
    """Ten thousand URLs."""
    rng = random.Random(6)
    traffic = tuple((rng.choice(("GET", "GET", "POST")), f"t{place % 90}.example", f"/item/{place:05d}/view",
                     rng.choice(SERVERS), None, int(rng.paretovariate(1.1) * 30), rng.uniform(1, 90), {200: 1.0})
                    for place in range(rows))
    return base(rng, cells_of(rng, 1.0, traffic))
