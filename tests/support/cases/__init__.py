"""Conversations, each a corner of HTTP on a wire, with the exchanges that are in it.

What is expected is written down from RFC 9112 and from what the client and the server know, never from what httptop
says.
"""

from __future__ import annotations

from tests.support.cases import below_tcp, bodies, ends, lines, order, segmentation
from tests.support.dialogs import Case, Script

# What two sockets can say.
BY_SOCKETS: tuple[Case, ...] = (
    segmentation.request_line_split_anywhere, segmentation.response_split_anywhere,
    segmentation.response_split_behind_long_chunks, segmentation.one_byte_per_segment, segmentation.head_of_8_kb,
    segmentation.long_heads_of_answers, segmentation.forty_in_a_segment,
    segmentation.pipelined_in_segments, segmentation.pipelined_without_bodies, segmentation.begins_in_the_middle,
    bodies.bodies_like_messages,
    bodies.long_bodies_like_messages, bodies.without_body, bodies.refused_expectation, bodies.until_close,
    lines.connect, lines.upgrade, lines.target_forms, lines.methods, lines.no_requests, ends.unanswered,
    ends.half_closed, ends.unreadable,
)

CASES: tuple[Case, ...] = (
    *BY_SOCKETS,
    below_tcp.ipv4_options, below_tcp.ipv6_extensions, below_tcp.vlan_tags, below_tcp.padding,
    below_tcp.super_packets_without_length, below_tcp.fragments, below_tcp.data_on_syn, order.retransmissions,
    order.overlap, order.reordering, order.reordering_of_answers, order.wrap_around, order.middle_of_a_connection,
    order.one_direction, order.loss_in_bodies, order.loss_in_heads, order.answers_before_requests,
    order.loss_of_messages, order.loss_of_messages_asked_ahead, ends.ports_used_again,
)


def play(case: Case) -> Script:
    """What a case puts on the wire, and what it expects."""
    script = Script()
    case(script)
    return script
