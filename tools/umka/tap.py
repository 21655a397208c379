"""A small TAP printer for suites."""

import sys


class Plan:
    """Numbers and prints results; end() prints the plan and gives the suite's exit status."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def _line(self, good, text, tail=""):
        self.count += 1
        self.failed += not good
        print(f"{'' if good else 'not '}ok {self.count} - {text}{tail}", flush=True)

    def check(self, good, text, why=""):
        self._line(bool(good), text)
        if not good and why:
            for line in str(why).splitlines():
                print(f"# {line}", flush=True)
                print(f"{text}: {line}", file=sys.stderr, flush=True)
        return bool(good)

    def skip(self, text, why):
        self._line(True, text, f" # SKIP {why}")

    def end(self):
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0
