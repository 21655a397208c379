#!/usr/bin/env python3
"""The verdicts of Linux: oracle.tsv has a line for each case with the hash of its source, the
version of Debian's kernel package and the verdict.

usage: oracle.py --check     names the cases that changed since Linux was asked
       oracle.py --update    asks Linux for all cases (about a minute) and writes the file
"""
import os
import re
import subprocess
import sys

import abilib

PATH = os.path.join(abilib.HERE, "oracle.tsv")


def read():
    """case -> (hash, version, verdict)."""
    known = {}
    if os.path.exists(PATH):
        with open(PATH, encoding="utf-8") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    name, digest, version, verdict = line.rstrip("\n").split("\t")
                    known[name] = (digest, version, verdict)
    return known


def is_changed(case, known):
    return case.name not in known or known[case.name][0] != case.hash


def linux_version():
    import guests
    done = subprocess.run([guests.UMKA, "run", "--kernel", "linux", "--", "uname", "-v"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return re.search(r"Debian (\S+)", done.stdout)[1]


def update():
    import guests
    cases = {n: c for n, c in abilib.read_cases().items() if c.both}
    version = linux_version()
    results = guests.run_cases(guests.Machine("linux"), sorted(cases))
    with open(PATH, "w", encoding="utf-8") as out:
        out.write("# case\thash of its source\tversion of linux-image-amd64\tverdict\n")
        for name in sorted(cases):
            verdict, why = results.get(name, ("missing", ""))
            out.write(f"{name}\t{cases[name].hash}\t{version}\t{verdict}\n")
            if verdict != "pass":
                print(f"{name}: {verdict}\n{why}")
    return 0 if all(results.get(n, ("", ""))[0] == "pass" for n in cases) else 1


def main():
    if "--update" in sys.argv:
        return update()
    known = read()
    cases = {n: c for n, c in abilib.read_cases().items() if c.both}
    for name in sorted(cases):
        if is_changed(cases[name], known):
            print(name)
    for name in sorted(set(known) - set(cases)):
        print(name, "(gone)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
