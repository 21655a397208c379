#!/usr/bin/env python3
"""Checks what the cases declare: every pair is "call:what", a flag or errno that a pair names
occurs in the case's text, no family file reaches 800 lines. Prints the totals.

usage: catalogue.py [--list]
"""
import os
import re
import sys

import abilib


def complaints(case):
    """What is wrong with one declaration."""
    seen = set()
    for pair in case.pairs:
        call, colon, what = pair.partition(":")
        if not colon or not call or not what:
            yield "%s: %s: pair \"%s\" is not call:what" % (case.where, case.name, pair)
        if pair in seen:
            yield "%s: %s: pair \"%s\" twice" % (case.where, case.name, pair)
        seen.add(pair)
        if re.fullmatch(r"[A-Z][A-Z0-9_]+", what) and not re.search(r"\b%s\b" % what, case.text):
            yield "%s: %s: %s does not occur in the case" % (case.where, case.name, what)
    if not case.pairs:
        yield "%s: %s: names nothing" % (case.where, case.name)


def all_complaints(cases):
    """What is wrong with all declarations, and with the sizes of the files."""
    wrong = [line for case in cases.values() for line in complaints(case)]
    folder = os.path.join(abilib.HERE, "cases")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as source:
            if sum(1 for _ in source) >= 800:
                wrong.append("cases/%s: 800 lines or more" % name)
    return wrong


def main():
    cases = abilib.read_cases()
    wrong = all_complaints(cases)
    for line in wrong:
        print(line, file=sys.stderr)
    both = [case for case in cases.values() if case.both]
    pairs = {pair for case in both for pair in case.pairs}
    calls = {pair.split(":", 1)[0] for pair in pairs}
    if "--list" in sys.argv:
        for pair in sorted(pairs):
            print(pair)
    print("# declared: %d cases, %d distinct pairs, %d distinct calls" % (len(both), len(pairs), len(calls)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
