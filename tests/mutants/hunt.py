"""A plugin for pytest that, instead of running its tests once, runs for each fault those that reach it.

The tests run once, and what lines of the faulty files they reach is noted. Then this process forks for each
fault: the child puts the faulty code into the functions that are loaded already, so that neither an import
nor a fixture that the fault does not touch is paid for again. What survives that may have done its work when
its module was imported, or in an object that was kept: it is asked again in a new process."""

import ast
import gc
import inspect
import os
import resource
import signal
import sys
import time
import traceback
from collections import defaultdict
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from .mutate import Site, changed, sites

PACKAGE = Path(__file__).resolve().parents[2] / "bbatch"
ROOT = PACKAGE.parent
PLAIN = int | float | str | None


class Hunt:
    """`places`: file, number and site of each fault. `tell(place, by)` hears what each died of: the name of a
    test, "time", "crash", or nothing; `cold(place, tests)` answers the same from a new process.

    A test that computes for longer than `budget` seconds (twice that while it is watched) or mostly waits, as
    for a process that it starts, is given up and not asked."""

    def __init__(self, places, budget: float, tell, cold):
        self.places, self.budget, self.tell, self.cold = places, budget, tell, cold
        self.reached = defaultdict(set)  # by test or fixture: (file, line)
        self.imported = set()  # the same of what runs while the tests are collected
        self.seconds = defaultdict(float)
        self.fixtures = {}  # fixture's definition: its result
        self.failed = set()
        self._current = []
        self._learning = False
        files = {str(PACKAGE / file): file for file, *_ in places}

        def line(frame, event, _):
            if event == "line":
                self._lines.add((files[frame.f_code.co_filename], frame.f_lineno))
            return line

        def call(frame, event, _):
            if frame.f_code.co_filename in files:
                return line(frame, "line", None)

        self._trace, self._lines = call, self.imported
        sys.settrace(call)

    def _during(self, key):
        """A generator around a hook that notes what is reached meanwhile for `key`."""
        self._current.append(key)
        before, self._lines = self._lines, self.reached[key]
        start = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[key] += time.process_time() - start
            self._current.pop()
            self._lines = before

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function" or not self._current:
            return (yield)
        result = yield from self._during(fixturedef)
        self.fixtures[fixturedef] = fixturedef.cached_result
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        with at_most(2 * self.budget if self._learning else 0):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        with at_most(2 * self.budget if self._learning else 0):
            return (yield)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_runtestloop(self, session):
        sys.settrace(None)
        self._learn(session.items)
        for place in self.places:
            if not (tests := self._tests(session.items, place)):
                self.tell(place, "")
                continue
            by = self._in_child(place, tests)
            self.tell(place, by or self.cold(place, [t.nodeid for t in tests]))
        return True

    def _learn(self, items):
        files = {file for file, *_ in self.places}
        self.caches = caches(files)
        self._learning = True
        for item, after in zip(items, [*items[1:], None], strict=True):
            self._forget()
            run = self._during(item)
            next(run)
            sys.settrace(self._trace)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
            sys.settrace(None)
            next(run, None)
        self._learning = False
        self.functions = loaded(files)
        gc.freeze()  # a child that collected garbage would copy all memory
        gc.disable()
        for fixture, result in self.fixtures.items():  # torn down by now; what returns is as good as before
            fixture.cached_result = None if hasattr(result[0], "__next__") else result

    def _forget(self):
        """What the caches of the faulty files keep was made by another test, or by the code as it was."""
        for cache in self.caches:
            cache.cache_clear()

    def _touched(self, reached) -> set:
        """The fixtures that reach the lines, or use one that does."""
        touched = {f for f in self.fixtures if reached & self.reached[f]}
        names = {f.argname for f in touched}
        while more := {f for f in set(self.fixtures) - touched if names & set(f.argnames)}:
            touched |= more
            names |= {f.argname for f in more}
        return touched

    def _tests(self, items, place) -> list:
        """The quickest tests that reach the fault's lines, until the budget of seconds is spent; the others
        after them where an import reaches the lines, too."""
        file, _, site = place
        lines = {(file, line) for line in site.reached_by}
        touched = {f.argname: f for f in self._touched(lines)}
        early = bool(site.names or lines & self.imported)
        fits = []
        for item in items:
            uses = [touched[n] for n in getattr(item, "fixturenames", ()) if n in touched]
            reaches = bool(uses or lines & self.reached[item])
            if item.nodeid not in self.failed and (reaches or early):
                fits.append((item, uses, reaches))
        found, paid, left = [], set(), self.budget

        def cost(fit):
            return self.seconds[fit[0]] + sum(self.seconds[f] for f in fit[1] if f not in paid)

        while fits:
            quickest = min(fits, key=lambda fit: (not fit[2], cost(fit)))
            if found and cost(quickest) > left:
                break
            left -= cost(quickest)
            paid |= set(quickest[1])
            fits.remove(quickest)
            found.append(quickest[0])
        return found

    def _in_child(self, place, tests) -> str:
        file, k, site = place

        def work():
            code = changed((PACKAGE / file).read_text(), str(PACKAGE / file), k)
            if not put(file, code, site, self.functions):
                return "none"
            self._forget()
            for fixture in self._touched({(file, line) for line in site.reached_by}):
                fixture.cached_result = None
            self.failed.clear()
            for item, after in zip(tests, [*tests[1:], None], strict=True):
                try:
                    item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
                except KeyboardInterrupt:  # one that the test itself sends, and did not get back
                    return item.nodeid
                if self.failed:
                    return self.failed.pop()
            return "none"

        found = in_child(work, 5 + 5 * sum(self.seconds[t] for t in tests))
        return "" if found == "none" else found


@contextmanager
def at_most(seconds: float):
    """Ends with an error what computes for longer than that, or waits for eight times as long (a machine may
    be busy); again every second, should the error be taken for another. 0: for as long as it likes."""

    def end(*_):
        raise TimeoutError(f"longer than {seconds} s")

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, seconds),
        signal.SIGALRM: (signal.ITIMER_REAL, 8 * seconds),
    }
    before = {number: signal.signal(number, end) for number in timers} if seconds else {}
    try:
        for number in before:
            timer, after = timers[number]
            signal.setitimer(timer, after, 1)
        yield
    finally:
        for number, was in before.items():
            signal.setitimer(timers[number][0], 0)
            signal.signal(number, was)


def loaded(files) -> dict[tuple[str, str], list[FunctionType]]:
    """The functions of the package's files as they are in use now, by file and name."""
    paths = {str(PACKAGE / file): file for file in files}
    found = defaultdict(list)
    for f in gc.get_objects():
        if type(f) is FunctionType and f.__code__.co_filename in paths:
            found[paths[f.__code__.co_filename], f.__code__.co_qualname].append(f)
    return found


def caches(files) -> list[_lru_cache_wrapper]:
    """The caches of functions of the package's files."""
    paths = {str(PACKAGE / file) for file in files}
    kept = [f for f in gc.get_objects() if type(f) is _lru_cache_wrapper]
    return [
        f for f in kept if inspect.isfunction(f.__wrapped__) and f.__wrapped__.__code__.co_filename in paths
    ]


def put(file: str, code: CodeType, site: Site, functions) -> bool:
    """Put the changed code in the place of the loaded one: of the function that holds the site, or a constant
    of the module under its name wherever it was imported. False where that does not suffice."""
    if site.function == "<module>":
        if not (module := sys.modules.get(module_name(file))):  # the tests that were named import it later
            return False
        fresh = dict(vars(module))
        try:
            exec(code, fresh)
        except Exception:  # a module that cannot be imported: its import tells
            return False
        if not site.names or not all(_plain(fresh[name]) for name in site.names):
            return False
        for name in site.names:
            old = vars(module)[name]
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(name) is old:
                    setattr(other, name, fresh[name])
        return True
    changes = [c for c in _codes(code) if f"{site.function}.".startswith(f"{c.co_qualname}.")]
    changes = [(f, c) for c in changes for f in functions[file, c.co_qualname]]
    for function, new in changes:
        function.__code__ = new
    return bool(changes)


def _codes(code: CodeType):
    """The codes of all functions in a module's code."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _codes(part)


def _plain(value) -> bool:
    if isinstance(value, dict):
        return all(_plain(k) and _plain(v) for k, v in value.items())
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(_plain, value))
    return isinstance(value, PLAIN)


def module_name(file: str) -> str:
    return f"bbatch.{file.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")


def places_in(folder: Path, names: str = "") -> list[tuple[str, int, Site]]:
    """Every fault that can be seeded into the modules of a folder: those of a name, or of a pattern such as
    "choice_*"."""
    return [
        (str(path.relative_to(PACKAGE)), k, site)
        for path in sorted(folder.glob("*.py"))
        if fnmatch(path.stem, names or "*")
        for k, site in enumerate(sites(ast.parse(path.read_text())))
    ]


def in_child(work, seconds: float) -> str:
    """What `work` returns, run in a forked process and in silence; "time" where it computes for longer than
    that, or waits for an hour; "crash" where it returns nothing."""
    read, write = os.pipe()
    if not (child := os.fork()):
        os.setsid()
        signal.alarm(3600)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1,) * 2)
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(null, stream)
        try:
            said = work()
        except BaseException:  # of the seeder itself: a test's own is a failed test
            said = f"Traceback{traceback.format_exc()}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as told:
        found = told.read()
    _, status = os.waitpid(child, 0)
    try:
        os.killpg(child, signal.SIGKILL)  # what it started, as well
    except ProcessLookupError:
        pass
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):
        return "time"
    if found.startswith(b"Traceback"):
        raise RuntimeError(found.decode())
    return found.decode() or "crash"
