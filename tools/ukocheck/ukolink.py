#!/usr/bin/env python3
"""Links the objects of a module to NAME.uko and checks it; leaves no output when the check fails."""
import argparse
import os
import subprocess
import sys

import includes
import ukocheck


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lld", default="ld.lld-19")
    parser.add_argument("--objcopy", default="llvm-objcopy-19")
    parser.add_argument("--script", required=True)
    parser.add_argument("--kind", required=True, choices=ukocheck.KINDS)
    parser.add_argument("--instrumented", action="store_true")
    parser.add_argument("--library", action="append", default=[],
                        help="archive whose members are linked where they are needed")
    parser.add_argument("--sources", nargs="*", default=[], help="the module's, to check what they include")
    parser.add_argument("--contracts", nargs="*", default=[], help="that the module declares")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("objects", nargs="+", help="objects, or archives taken whole")
    args = parser.parse_args()

    stray = list(includes.of_module(args.kind, args.contracts, args.sources))
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
