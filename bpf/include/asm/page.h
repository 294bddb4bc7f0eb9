/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* BCC multiplies the page count of a ring with this; the loader sets it from sysconf(). */
#pragma once
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096
#endif
