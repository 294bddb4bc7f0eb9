/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BCC carries its own copy of the kernel's uapi header; that one is always there. */
#pragma once
#include <linux/types.h>
#include <bcc/bpf.h>
