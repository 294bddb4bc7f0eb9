"""Who may run what: tests on the real kernel need root, and in CI a skip of one of them is a failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support")

from tests.support.net import Site, site  # noqa: E402 - its assertions are to explain themselves

PRIORITY = os.getpriority(os.PRIO_PROCESS, 0)
ON_THE_KERNEL = tuple(Path(__file__).parent / name for name in ("kernel", "e2e", "matrix"))


def _on_the_kernel(item: pytest.Item) -> bool:
    return any(folder in item.path.parents for folder in ON_THE_KERNEL)


def pytest_configure(config: pytest.Config) -> None:
    """Name our markers."""
    config.addinivalue_line("markers", "corpus: needs the collection of other people's captures")
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:  # a job in the background, or nohup: programs would inherit it
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root when we are not."""
    needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: loads BPF programs, makes namespaces")
    for item in items:
        if _on_the_kernel(item):
            item.add_marker(needs_root)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a kernel or end-to-end test that skips has failed: nobody would notice that it never ran.

    But the corpus is too large to be everywhere.
    """
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("corpus")
    if skipped and os.environ.get("CI") and _on_the_kernel(item):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {call.excinfo.value if call.excinfo else ''}"
    return report


@pytest.fixture(autouse=True)
def _priority() -> Iterator[None]:
    """Who reads a LiveSource stays nice, and so would all that it starts: on a busy machine that takes for ever."""
    yield
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


@pytest.fixture(scope="session")
def wire() -> Iterator[Site]:
    """Two namespaces joined by a veth pair."""
    with site() as here:
        yield here
