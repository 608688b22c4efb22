"""Sweeps tell what they exercised at the end of the run, wherever they ran."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "crash" and getattr(report, "when", "") == "call"
    ]
    if told:
        terminalreporter.section("crash sweeps")
        for line in told:
            terminalreporter.write_line(line)
