"""Errors that a user may see: one line of what, one line of what to do, and the exit code (CLI contract)."""

from __future__ import annotations


class HttptopError(Exception):
    """`what` went wrong and what to `do` about it, each one line. `exit_code` 1: failed while running."""

    exit_code = 1

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do

    def lines(self) -> tuple[str, ...]:
        """The one or two lines for standard error."""
        head = f"httptop: {self.what}"
        return (head, f"  {self.do}") if self.do else (head,)


class UsageError(HttptopError):
    """Wrong flags or values (exit code 2)."""

    exit_code = 2


class MissingFeatureError(HttptopError):
    """A privilege, a package or a kernel feature is missing (exit code 3)."""

    exit_code = 3


def internal(error: BaseException | None) -> HttptopError:
    """Our own fault, as a user sees it."""
    return HttptopError(f"internal error: {type(error).__name__}: {error}",
                        "please report it with the traceback that HTTPTOP_DEBUG=1 gives")
