"""Which tests call which functions of the package, and how long each takes: a plugin for pytest.

What a fixture calls counts for every test that uses it, since each fault meets its tests in a new process."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "bbatch"


class Recorder:
    """`calls` and `seconds` by test or fixture; `uses`, the fixtures of a test."""

    def __init__(self):
        self.calls = defaultdict(set)
        self.seconds = defaultdict(float)
        self.uses = {}
        self.failed = set()
        self._current = []

    def _profile(self, frame, event, _):
        if event == "call" and self._current:
            code = frame.f_code
            if code.co_filename.startswith(str(PACKAGE)):
                name = code.co_qualname.split(".<locals>")[0]
                self.calls[self._current[-1]].add((code.co_filename[len(str(PACKAGE)) + 1 :], name))

    def _during(self, key):
        """A generator around a hook that notes what is called meanwhile for `key`."""
        self._current.append(key)
        sys.setprofile(self._profile)
        start = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[key] += time.process_time() - start
            self._current.pop()
            sys.setprofile(self._profile if self._current else None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.uses[item.nodeid] = [f"fixture {name}" for name in getattr(item, "fixturenames", ())]
        return (yield from self._during(item.nodeid))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function":
            return (yield)
        return (yield from self._during(f"fixture {fixturedef.argname}"))

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)

    def table(self) -> dict[str, dict]:
        """What each passed test calls (file and function), and its seconds with and without its fixtures."""
        found = {}
        for test, fixtures in self.uses.items():
            if test not in self.failed:
                calls = set.union(self.calls[test], *(self.calls.get(f, set()) for f in fixtures))
                shared = {f: self.seconds[f] for f in fixtures if f in self.seconds}
                found[test] = {"calls": sorted(calls), "seconds": self.seconds[test], "shared": shared}
        return found
