"""Builds the guest's first process (guest/init.c) for an architecture, cached by its source."""

import hashlib

from deps import fetch
from umka.common import ROOT, Failure, cache_dir, file_lock, run

SOURCE = ROOT / "tools/umka/guest/init.c"
TRIPLET = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


def nolibc_flags(arch):
    """Compiler flags of a static program without a C library; also used by tests."""
    if arch not in TRIPLET:
        raise Failure(f"no guest programs for {arch} yet (x86_64 and aarch64 have them)")
    headers = fetch.linux_headers() / "usr/include"
    nolibc = fetch.linux_source() / "tools/include/nolibc"
    return [f"--target={TRIPLET[arch]}", "-std=gnu23", "-static", "-nostdlib", "-nostdlibinc",
            "--ld-path=/usr/bin/ld.lld-19", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
            "-Wl,-z,noexecstack,--build-id=none,-s", "-I", str(nolibc),
            "-isystem", str(headers / TRIPLET[arch]), "-isystem", str(headers)]


def build(arch):
    flags = [*nolibc_flags(arch), "-Os", "-Wall", "-Wextra", "-Werror"]
    key = hashlib.sha256(SOURCE.read_bytes() + repr(flags).encode()).hexdigest()[:12]
    where = cache_dir() / "guest" / f"init-{arch}-{key}"
    if where.exists():
        return where
    with file_lock(where.with_name(f".init-{arch}.lock"), "the guest's init"):
        if not where.exists():
            scratch = where.with_suffix(".new")
            run(["clang-19", *flags, "-o", scratch, SOURCE], "compiling the guest's init")
            scratch.rename(where)
    return where
