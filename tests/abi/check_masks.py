#!/usr/bin/env python3
"""Proves on Linux that each case depends on the calls that it names: with one of them masked to
ENOSYS (a seccomp filter laid by the runner), the case must fail. A case that passes then is an
error, since it would also pass on a kernel that has no such call.

usage: check_masks.py RUNNER [--tmp DIR] [--call CALL]... [FAMILY.CASE]...
"""
import argparse
import re
import subprocess
import sys

import abilib

# Pseudo calls: they have no number, or cannot be masked because the case checks ENOSYS itself.
PSEUDO = {"unknown", "vdso", "fault", "proc", "sysfs", "tty", "signal", "auxv", "tmpfs"}


def masked(runner, tmp, call, names):
    """Runs the named cases with the call masked; gives those that passed."""
    command = [runner, "--tmp", tmp, "--timeout", "4", "--mask", call] + names
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1):
        print(done.stdout, file=sys.stderr)
        return names
    bad = set(re.findall(r"^not ok \d+ - (\S+)", done.stdout, re.M))
    return [name for name in names if name not in bad]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runner")
    parser.add_argument("--tmp", default="/tmp")
    parser.add_argument("--call", action="append")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_intermixed_args()
    users = {}
    for case in abilib.read_cases().values():
        if case.both and (not args.cases or case.name in args.cases or case.family in args.cases):
            for call in case.calls():
                if call not in PSEUDO and (not args.call or call in args.call):
                    users.setdefault(call, []).append(case.name)
    wrong = total = 0
    for call in sorted(users):
        total += len(users[call])
        for name in masked(args.runner, args.tmp, call, users[call]):
            print("not ok - %s passes with %s masked to ENOSYS" % (name, call))
            wrong += 1
    print("# masks: %d (case, call) runs, %d wrong, %d calls" % (total, wrong, len(users)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
