/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BCC's macros round map sizes up with this. */
#pragma once
#define roundup_pow_of_two(n) ((n) < 2 ? 1UL : 1UL << (64 - __builtin_clzll((n) - 1ULL)))
