#!/usr/bin/env python3
"""Packs what travels with the kernel image into one newc cpio archive: kernel.sym (symbols for backtraces and the module
loader), modules.order, and modules/NAME.uko."""
import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "ukocheck"))
import ukocheck  # noqa: E402

# Modules that must be bound before others can work come first; the rest follows by name.
FIRST = ["policy", "vfs", "linux", "tty", "net", "block"]


def entry(name, data, number):
    mode = 0o100444
    head = "070701" + "".join(f"{v:08X}" for v in (
        number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
    out = head.encode() + name.encode() + b"\0"
    out += b"\0" * (-len(out) % 4)
    return out + data + b"\0" * (-len(data) % 4)


def rank(path):
    for i, prefix in enumerate(FIRST):
        if path.stem == prefix or path.stem.startswith(prefix + "_"):
            return (i, path.stem)
    return (len(FIRST), path.stem)


def core_only(lines):
    """Of a program that has core and a C library in it: core's names are local, so a name that is both is core's."""
    fields = [line.split(b" ") for line in lines]
    local = {f[2] for f in fields if f[1].islower()}
    return [b" ".join(f) for f in fields if not f[2].startswith(b"_Z") and (f[1].islower() or f[2] not in local)]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--nm", default="llvm-nm-19")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--kernel", required=True)
    p.add_argument("--hosted", action="store_true", help="the kernel is a program of the host port")
    p.add_argument("modules", nargs="*")
    a = p.parse_args()
    symbols = subprocess.run([a.nm, "-n", "--defined-only", a.kernel], check=True, capture_output=True).stdout
    if a.hosted:
        symbols = b"\n".join(core_only(symbols.splitlines())) + b"\n"
    bad = [f"{m}: error: {text}" for m in a.modules
           for text in ukocheck.core_symbol_errors(pathlib.Path(m).read_bytes(), symbols.decode().splitlines())]
    if bad:
        sys.exit("\n".join(bad))
    modules = sorted((pathlib.Path(m) for m in a.modules), key=rank)
    files = [("kernel.sym", symbols), ("modules.order", "".join(f"{m.stem}\n" for m in modules).encode())]
    files += [(f"modules/{m.name}", m.read_bytes()) for m in modules]
    out = b"".join(entry(n, d, i + 1) for i, (n, d) in enumerate(files)) + entry("TRAILER!!!", b"", 0)
    pathlib.Path(a.output).write_bytes(out)


main()
