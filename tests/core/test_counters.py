"""Counters without a kernel: what readings look like as a table, JSON and OpenMetrics, and what the command refuses."""

from __future__ import annotations

import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_older_format

from httptop.counters import cli, control, pins, show
from httptop.counters.attach import Link
from httptop.counters.pins import About, Hook
from httptop.counters.readings import Reading, per_second
from httptop.counters.show import Moment
from httptop.errors import HttptopError, UsageError
from httptop.records import METHODS, STATUS_CLASSES

SECOND_NS = 1_000_000_000
START_NS = 1_750_000_000 * SECOND_NS
COUNTS = tuple(range(1000, 1001 + pins.MESSAGES))  # GET 1000, ... PATCH 1008, other, 1xx 1010, ... packets 1016


def reading(interface: str = "eth0", hook: Hook = Hook.TC, *, add: int = 0, counting: tuple[str, ...] | None = None,
            started_ns: int = START_NS, now: str = "") -> Reading:
    counts = {way: tuple(count + add * (place + 1) for count in COUNTS) for place, way in enumerate(hook.ways)}
    return Reading(interface, hook, started_ns, hook.ways if counting is None else counting, counts, now)


def moment(*readings: Reading, before: tuple[Reading, ...] = (), seconds: float = 2.0) -> Moment:
    return Moment(START_NS + SECOND_NS, readings, {one.interface: one for one in before}, seconds)


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """OpenMetrics by name and label values; the parser is strict."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in parse_openmetrics(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_table() -> None:
    """A row for each count, a column for each direction, and rates as soon as there are two readings."""
    once = show.table(moment(reading()))
    assert once.splitlines()[0] == "eth0: tc, since 2025-06-15T15:06:40Z"
    assert "  requests GET         1,000   1,000" in once
    assert "  packets              1,016   1,016" in once
    assert len(once.splitlines()) == 2 + len(COUNTS)
    again = show.table(moment(reading(add=3), before=(reading(),)))
    assert again.splitlines()[2].split() == ["ingress", "egress", "ingress/s", "egress/s"]
    assert "responses other      1,018   1,021        1.5       3.0" in again


def test_table_of_several() -> None:
    """One block each; XDP says its mode and has one column; what is no longer attached says so."""
    text = show.table(moment(reading("eth0", Hook.XDP_GENERIC), reading("eth1", counting=())))
    first, second = text.split("\n\n")
    assert first.startswith("eth0: generic xdp, since")
    assert first.splitlines()[1].split() == ["ingress"]
    assert "not attached any more" in second
    assert show.table(moment()) == show.NONE_RUN


def test_half_attached() -> None:
    """Of two filters one may be gone: that direction alone is final."""
    half = moment(reading(counting=("egress",)))
    assert "only egress still counts" in show.table(half)
    assert "final" not in show.table(half)
    [found] = json.loads(show.dumps(half))["interfaces"]
    assert (found["attached"], found["counting"]) == (False, ["egress"])
    assert samples(show.openmetrics(half))["httptop_counters_attached"] == {("eth0", "tc", ""): 0}


def test_renamed() -> None:
    """An interface that has another name now is shown with both; metrics keep the first, which they began with."""
    renamed = moment(reading(now="lan0"))
    assert show.table(renamed).startswith("eth0 (now lan0): tc, since")
    [found] = json.loads(show.dumps(renamed))["interfaces"]
    assert (found["interface"], found["now"]) == ("eth0", "lan0")
    assert ("eth0", "tc", "") in samples(show.openmetrics(renamed))["httptop_counters_attached"]


def test_json() -> None:
    """One line, by direction, with the names of the screen; rates are null without an earlier reading."""
    text = show.dumps(moment(reading(hook=Hook.XDP_NATIVE)))
    assert text.count("\n") == 1
    [found] = json.loads(text)["interfaces"]
    assert (found["interface"], found["hook"], found["mode"]) == ("eth0", "xdp", "native")
    assert (found["attached"], found["since"], found["per_second"]) == (True, "2025-06-15T15:06:40.000Z", None)
    assert list(found["counts"]) == ["ingress"]
    counts = found["counts"]["ingress"]
    assert counts["requests"] == dict(zip((*METHODS, "other"), COUNTS, strict=False))
    assert counts["responses"] == dict(zip(STATUS_CLASSES, COUNTS[10:], strict=False))
    assert counts["packets"] == 1016


def test_json_rates() -> None:
    """Rates have the shape of the counts."""
    [found] = json.loads(show.dumps(moment(reading(add=1), before=(reading(),))))["interfaces"]
    assert found["per_second"]["egress"]["requests"]["GET"] == 1.0
    assert found["per_second"]["ingress"]["packets"] == 0.5


def test_rates_of_counters_started_again() -> None:
    """Counts that began again meanwhile are no rate."""
    rates = per_second(reading(started_ns=START_NS + 1), reading(add=7), 2.0)
    assert set(rates["ingress"]) == {0.0}


def test_openmetrics() -> None:
    """A strict parser reads every count, by method, status class and direction, of all interfaces."""
    found = samples(show.openmetrics(moment(reading(), reading("eth1", Hook.XDP_NATIVE, counting=()))))
    assert found["httptop_counters_requests_total"]["eth0", "egress", "PATCH"] == 1008
    assert found["httptop_counters_requests_total"]["eth1", "ingress", "other"] == 1009
    assert found["httptop_counters_responses_total"]["eth0", "ingress", "5xx"] == 1014
    assert found["httptop_counters_packets_total"] == {("eth0", "ingress"): 1016, ("eth0", "egress"): 1016,
                                                       ("eth1", "ingress"): 1016}
    assert found["httptop_counters_attached"] == {("eth0", "tc", ""): 1, ("eth1", "xdp", "native"): 0}
    assert found["httptop_counters_start_time_seconds"]["eth0",] == START_NS / SECOND_NS


def test_openmetrics_for_the_textfile_collector() -> None:
    """The older text format, which the node_exporter reads from files, takes it too: no type that it does not know."""
    text = show.openmetrics(moment(reading()))
    assert {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")} == {"counter", "gauge"}
    values = {sample.name: sample.value for family in parse_older_format(text) for sample in family.samples}
    assert values["httptop_counters_packets_total"] == 1016


def test_openmetrics_escapes() -> None:
    """An interface may be named with quotes and backslashes."""
    text = show.openmetrics(moment(reading('a"b\\c')))
    assert samples(text)["httptop_counters_packets_total"]['a"b\\c', "ingress"] == 1016


def test_openmetrics_of_nothing() -> None:
    """Without counters it is still a valid answer, with no samples."""
    assert samples(show.openmetrics(moment())) == {}


NOTHING = Link(7, header=True, xdp=(), qdisc="", block=False, tcx=True)
OLDER = NOTHING._replace(tcx=False)  # before Linux 6.6


@pytest.mark.parametrize(("link", "hook", "chosen"), [
    (NOTHING, "auto", "tcx"),
    (NOTHING, "tc", "tc"),
    (NOTHING, "xdp", "xdp"),
    (NOTHING._replace(qdisc="ingress", header=False, xdp=(5,)), "auto", "tcx"),
    (OLDER, "auto", "tc"),
    (OLDER._replace(qdisc="clsact", xdp=(5,)), "auto", "tc"),
    (OLDER._replace(qdisc="ingress"), "auto", "xdp"),
    (OLDER._replace(qdisc="clsact", block=True), "auto", "xdp"),
])
def test_choice_of_the_hook(link: Link, hook: str, chosen: str) -> None:
    """Auto is tcx where the kernel has it, else tc wherever that has room, else XDP."""
    assert control._choose("eth0", link, hook) == chosen


@pytest.mark.parametrize(("link", "hook", "what", "do"), [
    (NOTHING._replace(qdisc="ingress"), "tc", "ingress qdisc", "use --hook tcx, or put clsact there"),
    (NOTHING._replace(xdp=(5,)), "xdp", "id 5", "use --hook tcx, or"),
    (OLDER, "tcx", "no tcx", "use --hook tc, or run Linux 6.6"),
    (OLDER._replace(qdisc="ingress"), "tcx", "no tcx", "use --hook xdp, or run Linux 6.6"),
    (OLDER._replace(qdisc="ingress"), "tc", "ingress qdisc", "use --hook xdp, or put clsact there"),
    (OLDER._replace(qdisc="clsact", block=True), "tc", "(a block)", "use --hook xdp, or put a clsact there"),
    (OLDER._replace(header=False), "xdp", "bare IP", "use --hook tc, or"),
    (OLDER._replace(qdisc="ingress", header=False), "tc", "ingress qdisc", "put clsact there"),
    (OLDER._replace(qdisc="ingress", header=False), "xdp", "bare IP", "count on the interface below"),
    (OLDER._replace(qdisc="ingress", xdp=(5,)), "auto", "ingress qdisc", "put clsact there"),
    (OLDER._replace(qdisc="ingress", xdp=(5,)), "xdp", "id 5", "have that one taken off"),
])
def test_hint_where_a_hook_has_no_room(link: Link, hook: str, what: str, do: str) -> None:
    """The other hook is named only where it would work."""
    with pytest.raises(HttptopError) as raised:
        control._choose("eth0", link, hook)
    assert what in raised.value.what
    assert raised.value.do.startswith(do)


def test_about_is_what_was_packed() -> None:
    """What is left in the kernel is read back; another layout is refused with what to do."""
    about = About(Hook.XDP_GENERIC, 7, False, (11, 0), 4026531840, START_NS)
    assert pins.unpack(about.pack()) == about
    for at in (0, 4):  # the version, the hook
        with pytest.raises(HttptopError, match="another version"):
            pins.unpack(about.pack()[:at] + b"\x09" + about.pack()[at + 1:])


def test_names_without_dots() -> None:
    """A BPF file system takes no dots; a colon, which it takes, is in no interface name."""
    assert pins.directory("eth0.100") == pins.root() / "eth0:100"


class Nowhere:
    """A world that keeps what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


@pytest.mark.parametrize(("arguments", "complaint"), [
    ((), "to do what"),
    (("restart",), "does not know 'restart'"),
    (("start",), "which interface"),
    (("start", "-i", "eth0", "--hook", "socket"), "--hook: invalid choice"),
    (("start", "-i", "eth0", "--jsno"), "no flag --jsno"),
    (("start", "-i", "a/b"), "no interface name"),
    (("show", "--json", "--openmetrics"), "not allowed with"),
    (("show", "--watch", "0"), "no number of seconds"),
    (("show", "--openmetrics", "--watch", "1"), "has no rates"),
    (("show", "eth0"), "'eth0' is not expected here"),
])
def test_wrong_usage(arguments: tuple[str, ...], complaint: str) -> None:
    """What is wrong is said, with what to do, and exit code 2."""
    with pytest.raises(UsageError) as raised:
        cli.main(arguments, Nowhere())
    assert complaint in raised.value.what
    assert raised.value.do


def test_help_tells_the_limits() -> None:
    """The help says what is counted twice and what not at all."""
    world = Nowhere()
    assert cli.main(("start", "--help"), world) == 0
    for words in ("start -i IFACE", "retransmission", "counts in both directions"):
        assert words in world.text
