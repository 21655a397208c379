"""What the scripts of the ABI suite share: the cases as the sources declare them.

A case's hash covers its own text, the text of its family outside the cases (helpers), abi.h and
harness.c, so that a change of a helper reruns the cases that may use it.
"""
import hashlib
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
START = re.compile(r"^(CASE|CASE_UMKA)\((\w+),", re.M)


class Case:
    """One case: its full name, its pairs, its text and its hash."""

    def __init__(self, family, name, pairs, text, both, where):
        self.name = family + "." + name
        self.family = family
        self.pairs = pairs
        self.text = text
        self.both = both
        self.where = where
        self.hash = ""
        self.only_x86 = False

    def calls(self):
        """The calls that the case names (a pseudo call such as "unknown" has no number)."""
        return sorted({pair.split(":", 1)[0] for pair in self.pairs})


def read_family(path):
    """The cases of one source file."""
    with open(path, encoding="utf-8") as source:
        text = source.read()
    family = re.search(r'#define ABI_FAMILY "(\w+)"', text).group(1)
    cases, outside, at = [], [], 0
    for match in START.finditer(text):
        end = text.index("\n}\n", match.start()) + 3
        body = text[match.start() : end]
        outside.append(text[at : match.start()])
        at = end
        head, _, rest = body.partition("\n{\n")
        pairs = re.findall(r'"((?:[^"\\]|\\.)*)"', head)
        line = text.count("\n", 0, match.start()) + 1
        where = "%s:%d" % (os.path.relpath(path, HERE), line)
        cases.append(Case(family, match.group(2), pairs, rest, match.group(1) == "CASE", where))
        cases[-1].whole = body
        # The preprocessor's conditions around a case are at the outermost level and closed by #endif.
        before = re.findall(r"^#(if.*|endif|else)", text[: match.start()], re.M)
        depth = [line for line in before if not line.startswith("else")]
        opened = []
        for line in depth:
            if line == "endif":
                opened.pop()
            else:
                opened.append(line)
        cases[-1].only_x86 = any("__x86_64__" in line for line in opened)
    outside.append(text[at:])
    common = "".join(outside)
    for name in ("abi.h", "harness.c"):
        with open(os.path.join(HERE, name), encoding="utf-8") as source:
            common += source.read()
    for case in cases:
        case.hash = hashlib.sha256((common + case.whole).encode()).hexdigest()[:16]
    return cases


def read_cases():
    """All cases, by full name."""
    found = {}
    folder = os.path.join(HERE, "cases")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".c"):
            for case in read_family(os.path.join(folder, name)):
                if case.name in found:
                    raise SystemExit("%s: case %s declared twice" % (case.where, case.name))
                found[case.name] = case
    return found
