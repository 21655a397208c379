"""./umka test: finds the suites, runs them in lanes, counts. The convention is tests/README.md."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from umka import build
from umka.common import EXIT_FAILED, EXIT_USAGE, ROOT, Failure, die_with_parent, note

TIMEOUT_SECONDS = 1800
HOST_SUITES = {"host": "asan", "host-tsan": "tsan"}  # suite -> the kind of its native build
SHOWN_FAILURES = 20


@dataclasses.dataclass
class Result:
    """What one suite came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    notes: list = dataclasses.field(default_factory=list)

    def fail(self, what):
        self.failed += 1
        self.notes.append(what)


def suites():
    """name -> executable (None: the host unit tests, which the build defines)."""
    found = dict.fromkeys(HOST_SUITES)
    for path in sorted((ROOT / "tests").glob("*/suite")):
        if os.access(path, os.X_OK):
            found[path.parent.name] = path
    return found


def _setting(path, key, default):
    """A number from a suite's own head: a line '# umka-suite: timeout=600'."""
    head = path.read_text(encoding="utf-8", errors="replace").splitlines()[:20]
    match = re.search(rf"umka-suite:.*\b{key}=(\d+)", "\n".join(head))
    return int(match[1]) if match else default


def list_suites():
    for name, path in suites().items():
        what = path.relative_to(ROOT) if path else f"unit tests of build/host-{HOST_SUITES[name]}"
        print(f"{name:<16} {what}")
    return 0


class _Tap:
    """Counts TAP as it comes; a plan that is not met is a failure."""

    LINE = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(.*)$")

    def __init__(self, result):
        self.result = result
        self.planned = None
        self.seen = 0

    def feed(self, line):
        if match := re.match(r"^1\.\.(\d+)", line):
            self.planned = int(match[1])
        elif line.startswith("Bail out!"):
            self.result.fail(line)
        elif match := self.LINE.match(line):
            self.seen += 1
            text = match[3].lstrip("- ")
            if re.search(r"#\s*skip\b", text, re.I):
                self.result.skipped += 1
            elif match[1]:
                self.result.fail(text or f"test {match[2]}")
            else:
                self.result.passed += 1

    def finish(self, status):
        if self.planned is not None and self.planned != self.seen:
            self.result.fail(f"planned {self.planned} tests, ran {self.seen}")
        elif self.seen == 0:
            self.result.fail("ran no test")
        if status != 0 and self.result.failed == 0:
            self.result.fail(f"exit status {status} although no test failed")


def _run_suite(name, path, where, environment):
    result = Result(name)
    where.mkdir(parents=True, exist_ok=True)
    limit = _setting(path, "timeout", TIMEOUT_SECONDS)
    started = time.monotonic()
    tap = _Tap(result)
    with open(where / "tap", "w", encoding="utf-8") as tap_log, \
            open(where / "stderr", "wb") as errors:
        process = subprocess.Popen([path], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=errors, text=True,
                                   errors="replace", start_new_session=True,
                                   preexec_fn=die_with_parent)
        _running.add(process)
        timer = threading.Timer(limit, _kill_group, [process, result, limit])
        timer.start()
        try:
            for line in process.stdout:
                tap_log.write(line)
                tap_log.flush()
                tap.feed(line.rstrip("\n"))
            tap.finish(process.wait())
        finally:
            timer.cancel()
            _running.discard(process)
    result.seconds = time.monotonic() - started
    return result


_running = set()


def _kill_group(process, result=None, limit=0):
    if result:
        result.fail(f"not done after {limit} s")
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _run_host(name, where):
    result = Result(name)
    started = time.monotonic()
    folder = build.host_tests(HOST_SUITES[name])
    done = subprocess.run(["meson", "test", "-C", folder, "--no-rebuild", "--num-processes", "2"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    where.mkdir(parents=True, exist_ok=True)
    (where / "tap").write_text(done.stdout)
    log = folder / "meson-logs/testlog.json"
    records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for record in records:
        if record["result"] in ("OK", "EXPECTEDFAIL"):
            result.passed += 1
        elif record["result"] == "SKIP":
            result.skipped += 1
        else:
            last = "\n".join((record.get("stdout", "") + record.get("stderr", "")).splitlines()[-8:])
            result.fail(f"{record['name']}: {record['result']}\n{last}")
    if done.returncode != 0 and not result.failed:
        result.fail(f"meson test ended with {done.returncode}:\n" + done.stdout[-1500:])
    result.seconds = time.monotonic() - started
    return result


def _guarded(name, path, where, environment):
    """A suite that cannot even start is one failure, not the end of the run."""
    try:
        return _run_host(name, where) if path is None else _run_suite(name, path, where, environment)
    except (Failure, OSError) as error:
        result = Result(name)
        result.fail(str(error))
        return result


def _report(result, where):
    print(f"{result.name:<16} {result.passed:5} passed {result.failed:4} failed "
          f"{result.skipped:4} skipped  {result.seconds / 60:5.1f} min", flush=True)
    for text in result.notes[:SHOWN_FAILURES]:
        print("    not ok: " + text.replace("\n", "\n      "), flush=True)
    if len(result.notes) > SHOWN_FAILURES:
        print(f"    and {len(result.notes) - SHOWN_FAILURES} more", flush=True)
    if result.failed:
        print(f"    see {where.relative_to(ROOT)}/", flush=True)


def check_names(names):
    known = suites()
    unknown = [n for n in names if n not in known]
    if unknown:
        raise Failure(f"there is no suite {' '.join(unknown)}; suites: {' '.join(known)}", EXIT_USAGE)


def run_suites(names, lanes, settings):
    """settings: what suites are told by their environment, UMKA_ARCH and the like."""
    check_names(names)
    known = suites()
    chosen = {n: p for n, p in known.items() if not names or n in names}
    top = ROOT / "build" / "test"
    environment = dict(os.environ, UMKA=str(ROOT / "umka"), PYTHONPATH=str(ROOT / "tools"),
                       PYTHONDONTWRITEBYTECODE="1", **settings)
    # The longest first, so that the lanes end together: as a suite says, or by its limit.
    order = sorted(chosen, key=lambda n: 0 if chosen[n] is None else
                   -_setting(chosen[n], "minutes", 1))
    results = []
    try:
        with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
            jobs = {}
            for name in order:
                where = top / name
                shutil.rmtree(where, ignore_errors=True)
                env = dict(environment, UMKA_OUT=str(where))
                jobs[pool.submit(_guarded, name, chosen[name], where, env)] = where
            for job in concurrent.futures.as_completed(jobs):
                results.append(job.result())
                _report(results[-1], jobs[job])
    except BaseException:
        for process in list(_running):
            _kill_group(process)
        raise
    passed, failed, skipped = (sum(getattr(r, f) for r in results)
                               for f in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return EXIT_FAILED if failed else 0
