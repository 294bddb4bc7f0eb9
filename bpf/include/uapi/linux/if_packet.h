/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel says of a packet's direction. */
#pragma once
#define PACKET_HOST 0
#define PACKET_OUTGOING 4
