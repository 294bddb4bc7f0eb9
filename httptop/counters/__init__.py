"""Counters that live in the kernel: a small program on an interface, pinned maps, and no process at all."""
