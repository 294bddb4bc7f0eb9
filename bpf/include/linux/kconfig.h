/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BCC includes this before anything else; it asks only whether the kernel has BPF. */
#pragma once
#define CONFIG_BPF_SYSCALL 1
