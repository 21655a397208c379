#!/usr/bin/env python3
"""Runs umka-host and names the addresses in what a sanitizer reported: those of modules too, which no symbolizer of a process knows.

usage: run.py BUILD_FOLDER PROGRAM BLOB [WORD...]

The word ext4=MIB gives it a disk with a fresh ext4, and e2fsck looks at that when it is done.

The program cannot ask a symbolizer itself: its stacks lie in shared memory, so it must not fork."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 300


def places(binary, addresses):
    """{address: "function file:line"} of return addresses."""
    out = subprocess.run(["llvm-symbolizer-19", "--no-inlines", "--relativenames", f"--obj={binary}", *(hex(a) for a in addresses)],
                         capture_output=True, text=True, check=False).stdout.split("\n\n")
    found = {}
    for address, block in zip(addresses, out):
        lines = block.strip().split("\n")
        if len(lines) == 2:
            found[address] = f"{lines[0]} {lines[1].removeprefix('../../')}"
    return found


def symbolized(text, folder, program):
    modules = {m[1]: (int(m[2], 16), int(m[3], 16))
               for m in re.finditer(r"^module (\w+): text 0x([0-9a-f]+)-0x([0-9a-f]+)$", text, re.M)}
    frame = re.compile(r"^(\s+#\d+) 0x([0-9a-f]+)\b.*$", re.M)
    wanted = {}
    for m in frame.finditer(text):
        at = int(m[2], 16)
        owner = next((n for n, (start, end) in modules.items() if start <= at < end), None)
        wanted.setdefault(owner, set()).add(at)
    names = {}
    for owner, addresses in wanted.items():
        base = modules[owner][0] if owner else 0
        binary = folder / "tools/meson" / f"{owner}.uko.full" if owner else program
        for at, name in places(binary, sorted(a - base for a in addresses)).items():
            names[at + base] = name + (f" [{owner}]" if owner else "")
    return frame.sub(lambda m: f"{m[1]} {names.get(int(m[2], 16), m[0].strip())}", text)


def run_on_disk(folder, words):
    """run() with the word ext4=MIB replaced by a disk, and one more test: the state of that."""
    at = next((i for i, w in enumerate(words) if w.startswith("ext4=")), None)
    if at is None:
        return run(folder, words)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not shutil.which("mke2fs") or not shutil.which("e2fsck"):
        print("1..0 # SKIP e2fsprogs are not here")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        disk = f"{temporary}/disk"
        with open(disk, "wb") as f:
            f.truncate(int(words[at].split("=")[1]) << 20)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^orphan_file", disk], check=True)
        status = run(folder, [*words[:at], f"disk={disk}", *words[at + 1:]])
        checked = subprocess.run(["e2fsck", "-fn", disk], capture_output=True, text=True, check=False)
        if checked.returncode:
            sys.stdout.write("Bail out! e2fsck finds errors\n")
            sys.stderr.write(checked.stdout + checked.stderr)
        return status or checked.returncode


def run(folder, words):
    program = words[0]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, timeout=TIMEOUT_S)
        out, err, status = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        out, err = ((s or b"").decode(errors="replace") for s in (late.stdout, late.stderr))
        out, status = out + f"Bail out! more than {TIMEOUT_S} s\n", 1
    sys.stdout.write(out)
    sys.stderr.write(symbolized(err, folder, program))
    return status if status >= 0 else 1


sys.exit(run_on_disk(pathlib.Path(sys.argv[1]), sys.argv[2:]))
