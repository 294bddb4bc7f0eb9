/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The classic BPF opcodes that <linux/bpf.h> shares; nothing here uses them. */
#pragma once
