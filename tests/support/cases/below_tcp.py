"""Headers below TCP, and data on a SYN."""

from __future__ import annotations

from tests.support.dialogs import GET, GOT, OK, Dialog, Script, cut
from tests.support.frames import (
    ACK,
    DESTINATION,
    ETH_IP4,
    ETH_IP6,
    FRAGMENT,
    HOP_BY_HOP,
    ROUTING,
    SYN,
    ethernet,
    extension,
    ipv4,
    ipv6,
)


def ipv4_options(script: Script) -> None:
    """IPv4 headers of every length."""
    for words in range(1, 11):
        def link(talk: Dialog, sender: int, segment: bytes, options: bytes = b"\1" * 4 * words) -> bytes:
            return ethernet(ETH_IP4, ipv4(talk.addresses[sender], talk.addresses[1 - sender], segment, options=options))
        script.dialog(link=link).exchange()


def ipv6_extensions(script: Script) -> None:
    """Hop-by-hop options, routing and destination options, alone and together."""
    hop, routing, options = ((number, extension(1)) for number in (HOP_BY_HOP, ROUTING,
                                                                   DESTINATION))
    for chain in ((hop,), (routing,), (options,), (hop, options, routing, options)):
        def link(talk: Dialog, sender: int, segment: bytes,
                 chain: tuple[tuple[int, bytes], ...] = chain) -> bytes:
            return ethernet(ETH_IP6, ipv6(talk.addresses[sender], talk.addresses[1 - sender], segment,
                                          extensions=chain))
        script.dialog(v6=True, link=link).exchange()


def vlan_tags(script: Script) -> None:
    """One and two VLAN tags, over both versions of IP."""
    for vlans in (((0x8100, 5),), ((0x88A8, 5), (0x8100, 6)), ((0x8100, 5), (0x8100, 6))):
        for v6 in (False, True):
            def link(talk: Dialog, sender: int, segment: bytes, vlans: tuple[tuple[int, int], ...] = vlans,
                     ethertype: int = ETH_IP6 if v6 else ETH_IP4) -> bytes:
                return ethernet(ethertype, talk.packet(sender, segment), vlans)
            script.dialog(v6=v6, link=link).exchange()


def padding(script: Script) -> None:
    """Short segments in frames that are padded to 60 bytes: what is padded is no payload."""
    talk = script.dialog()
    talk.ask(*cut(GET, 2))
    talk.answer(*cut(OK, 3))
    talk.expect(GOT)
    talk.exchange()


def super_packets_without_length(script: Script) -> None:
    """IP length 0, as a network card gets large packets that it is to cut: all that is there counts."""
    def link4(talk: Dialog, sender: int, segment: bytes) -> bytes:
        return ethernet(ETH_IP4, ipv4(talk.addresses[sender], talk.addresses[1 - sender], segment, total=0), pad_to=0)

    def link6(talk: Dialog, sender: int, segment: bytes) -> bytes:
        return ethernet(ETH_IP6, ipv6(talk.addresses[sender], talk.addresses[1 - sender], segment, total=0), pad_to=0)

    script.dialog(link=link4).exchange()
    script.dialog(v6=True, link=link6).exchange()


def fragments(script: Script) -> None:
    """A request in IP fragments is counted as fragments, over both versions of IP, and the flow goes on."""
    talk = script.dialog()
    for fragment in (0x2000, 0x0002):
        script.frames.append(ethernet(ETH_IP4, ipv4(*talk.addresses, talk.segment(0, GET, seq=5), fragment=fragment)))
    talk.exchange()
    talk = script.dialog(v6=True)
    for offset in (b"\0\0\1", b"\0\0\x10"):
        script.frames.append(ethernet(ETH_IP6, ipv6(*talk.addresses, talk.segment(0, GET, seq=5), extensions=(
            (FRAGMENT, offset + bytes(4)),))))
    talk.exchange()
    script.count(fragments=4)


def data_on_syn(script: Script) -> None:
    """TCP fast open: the request is on the SYN, which may be sent again; its answer may be on the SYN+ACK."""
    talk = script.dialog()
    talk.say(0, GET, flags=SYN)
    talk.say(0, GET, flags=SYN, seq=1000)
    talk.say(1, b"", flags=SYN | ACK)
    talk.answer(OK)
    talk.expect(GOT)
    talk.exchange()
    for isn in (1000, 3 << 30):
        talk = script.dialog(isn=isn)
        talk.say(0, GET, flags=SYN)
        talk.say(1, OK, flags=SYN | ACK)
        talk.expect(GOT)
    script.count(duplicates=1)
