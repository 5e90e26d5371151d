"""For all tests: how hypothesis chooses examples, what skipped tests would need, and that signals count.

Hypothesis tries the same examples in each run, on each machine, whether ``CI`` is set or not, and nothing is measured
in seconds. ``pytest --hypothesis-seed=N`` tries others: those of the number N.
"""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

# A shell ignores Ctrl-C for its background jobs, nohup a hangup: the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("same examples", derandomize=True, **ANY_SPEED)
settings.register_profile("examples of a seed", derandomize=False, database=None, **ANY_SPEED)


def pytest_configure(config: pytest.Config) -> None:
    """Load our profile; without it hypothesis takes one of its own, which depends on ``CI``."""
    seeded = config.getoption("hypothesis_seed") is not None
    settings.load_profile("examples of a seed" if seeded else "same examples")


def pytest_report_header(config: pytest.Config) -> str:
    """Say which examples hypothesis tries."""
    seed = config.getoption("hypothesis_seed")
    return "hypothesis: the same examples in each run" if seed is None else f"hypothesis: examples of the seed {seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line why tests were skipped, and so what would run them."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    if reasons:
        parts = [_counted(count, reason) for reason, count in reasons.most_common()]
        terminalreporter.write_line(f"{len(skipped)} skipped: {', '.join(parts)}")


def _reason(report: pytest.TestReport) -> str:
    """Return why a test was skipped: the last of file, line and reason."""
    return str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")


def _counted(count: int, reason: str) -> str:
    """``3 need X`` of ``needs X``; ``3 because X`` of any other reason."""
    need = reason.removeprefix("needs ")
    if need == reason:
        return f"{count} because {reason}"
    return f"{count} {'needs' if count == 1 else 'need'} {need}"
