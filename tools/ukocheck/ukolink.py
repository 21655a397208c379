#!/usr/bin/env python3
"""Links the objects of a module to NAME.uko and checks it; leaves no output when the check fails."""
import argparse
import os
import pathlib
import re
import subprocess
import sys

import ukocheck


# Kinds whose include paths are closed; a path that climbs would open them again.
CLOSED = ("component", "policy")


def stray_includes(sources):
    """Includes that leave the module's own folder (of its first source) by a relative or absolute path."""
    if not sources:
        return
    home = pathlib.Path(sources[0]).absolute().parent
    # test/ is linked into host programs, never into the module, which therefore may not reach into it.
    own = [f for f in home.rglob("*.[ch]") if "test" not in f.relative_to(home).parts]
    for source in sorted({*map(pathlib.Path, sources), *own}):
        for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
            found = re.match(r'\s*#\s*include\w*\s*["<]([^">]+)[">]', line)
            if found and "test" in found[1].split("/")[:-1]:
                yield f"{source}:{number}: error: the include {found[1]} is of a test"
            if not found or not (found[1].startswith("/") or ".." in found[1].split("/")):
                continue
            target = pathlib.Path(os.path.normpath(source.absolute().parent / found[1]))
            if home not in target.parents:
                yield f"{source}:{number}: error: the include {found[1]} leaves the module's folder"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lld", default="ld.lld-19")
    parser.add_argument("--objcopy", default="llvm-objcopy-19")
    parser.add_argument("--script", required=True)
    parser.add_argument("--kind", required=True, choices=ukocheck.KINDS)
    parser.add_argument("--instrumented", action="store_true")
    parser.add_argument("--library", action="append", default=[],
                        help="archive whose members are linked where they are needed")
    parser.add_argument("--sources", nargs="*", default=[], help="to check their includes")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("objects", nargs="+", help="objects, or archives taken whole")
    args = parser.parse_args()

    stray = list(stray_includes(args.sources)) if args.kind in CLOSED else []
    if stray:
        print("\n".join(stray), file=sys.stderr)
        return 1
    full = args.output + ".full"
    subprocess.run([args.lld, "-r", "-T", args.script, "--whole-archive", *args.objects,
                    "--no-whole-archive", *args.library, "-o", full], check=True)
    # Position-independent code marks constants that need relocation as writable until relocated;
    # the loader relocates before it maps, so the vtables are read-only from the first.
    subprocess.run([args.objcopy, "--strip-debug",
                    "--set-section-flags", ".kabi.vtable=alloc,readonly,data", full, args.output],
                   check=True)
    with open(args.output, "rb") as f:
        complaints = ukocheck.check(f.read(), args.kind, args.instrumented)
    for text in dict.fromkeys(complaints):
        print("%s: error: %s" % (os.path.basename(args.output), text), file=sys.stderr)
    if complaints:
        os.unlink(args.output)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
