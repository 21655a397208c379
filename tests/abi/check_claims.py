#!/usr/bin/env python3
"""Checks docs/linux-compat against the cases (the format is docs/linux-compat/README.md).

A claim is a row of a table:

    | call | behaviours | state | cases |

usage: check_claims.py             checks; exit status 1 names what is wrong
       check_claims.py --write     adds rows for pairs that no row has; states are kept
"""
import os
import re
import sys

import abilib

FOLDER = os.path.join(os.path.dirname(os.path.dirname(abilib.HERE)), "docs", "linux-compat")
STATES = ("supported", "unsupported")
HEADER = "| call | behaviours | state | cases |\n|---|---|---|---|\n"


class Row:
    """One claim."""

    def __init__(self, where, call, behaviours, state, cases):
        self.where = where
        self.call = call
        self.behaviours = behaviours
        self.state = state
        self.cases = cases


def _split(cell):
    return [part.strip() for part in cell.split(",") if part.strip()]


def read_rows():
    """All claims, and complaints about rows that are none."""
    rows, wrong = [], []
    names = sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []
    for name in names:
        if not name.endswith(".md") or name == "README.md":
            continue
        with open(os.path.join(FOLDER, name), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.startswith("|") or re.match(r"\|\s*(call\s*\||-)", line):
                    continue
                cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
                where = f"docs/linux-compat/{name}:{number}"
                if len(cells) != 4 or cells[2] not in STATES:
                    wrong.append(f"{where}: not | call | behaviours | {' or '.join(STATES)} | cases |")
                    continue
                rows.append(Row(where, cells[0], _split(cells[1]), cells[2], _split(cells[3])))
    return rows, wrong


def all_complaints():
    """What is wrong: claims without a case, cases that are gone, pairs without a row."""
    cases = abilib.read_cases()
    rows, wrong = read_rows()
    named = set()
    for row in rows:
        for name in row.cases:
            if name not in cases:
                wrong.append(f"{row.where}: there is no case {name}")
        known = [name for name in row.cases if name in cases]
        if not row.behaviours or not row.cases:
            wrong.append(f"{row.where}: {row.call}: names no behaviour or no case")
        for behaviour in row.behaviours:
            pair = f"{row.call}:{behaviour}"
            named.add(pair)
            if not any(pair in cases[name].pairs for name in known):
                wrong.append(f"{row.where}: claims {pair}, which none of its cases checks")
    for case in cases.values():
        for pair in case.pairs:
            if pair not in named:
                wrong.append(f"{case.where}: {pair} stands in no row of docs/linux-compat")
    return wrong


def claimed_cases():
    """The cases that must pass on UmkaOS: those that check no pair stated as unsupported there,
    and the absences."""
    cases = abilib.read_cases()
    rows, _ = read_rows()
    supported, lacking = set(), set()
    for row in rows:
        for behaviour in row.behaviours:
            for name in row.cases:
                pair = (name, f"{row.call}:{behaviour}")
                (supported if row.state == "supported" else lacking).add(pair)
    found = set()
    for case in cases.values():
        pairs = [(case.name, pair) for pair in case.pairs]
        if not case.both or (all(p in supported for p in pairs) and not any(p in lacking for p in pairs)):
            found.add(case.name)
    return found


def _render(family, cases, states):
    """The tables of one family: one row for each call, state and set of cases."""
    groups = {}
    for case in cases:
        for pair in case.pairs:
            call, behaviour = pair.split(":", 1)
            state = states.get((case.name, pair), "supported" if case.both else "unsupported")
            groups.setdefault((call, state), {}).setdefault(behaviour, []).append(case.name)
    text = HEADER
    for (call, state), behaviours in sorted(groups.items()):
        names = sorted({name for found in behaviours.values() for name in found})
        text += f"| {call} | {', '.join(sorted(behaviours))} | {state} | {', '.join(names)} |\n"
    return text


def write():
    """Rewrites the tables out of the cases; what stands above the table of a file stays, and so
    does the state of each (case, pair)."""
    rows, _ = read_rows()
    states = {}
    for row in rows:
        for behaviour in row.behaviours:
            for name in row.cases:
                states[(name, f"{row.call}:{behaviour}")] = row.state
    families = {}
    for case in abilib.read_cases().values():
        families.setdefault(case.family, []).append(case)
    for family, cases in families.items():
        path = os.path.join(FOLDER, family + ".md")
        head = f"# {family}\n\n"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as old:
                head = old.read().split("| call |")[0]
        with open(path, "w", encoding="utf-8") as out:
            out.write(head + _render(family, cases, states))
    return 0


def main():
    if "--write" in sys.argv:
        return write()
    wrong = all_complaints()
    for line in wrong:
        print(line, file=sys.stderr)
    rows, _ = read_rows()
    supported = sum(row.state == "supported" for row in rows)
    print(f"# {len(rows)} claims, {supported} supported, {len(claimed_cases())} cases must pass on UmkaOS")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
