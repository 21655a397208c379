"""Which of the distribution's packages each verb needs, and how they get installed."""

import os
import shutil
import subprocess

from umka.common import EXIT_USAGE, Failure, confirm, note, run

# The interpreter itself is brought by ./umka. Names are of Debian 12 and 13 alike.
GROUPS = {
    "fetch": ["ca-certificates", "debian-archive-keyring", "xz-utils", "tar"],
    "guest": ["clang-19", "lld-19"],
    "build": ["clang-19", "lld-19", "llvm-19", "libclang-rt-19-dev", "meson", "ninja-build",
              "xz-utils", "zstd", "libc6-dev", "binutils"],
    "image": ["e2fsprogs", "mmdebstrap"],
    "grub": ["mtools", "grub-common", "grub-pc-bin", "grub-efi-amd64-bin"],
    "test": ["clang-format-19", "clang-tidy-19", "python3-pexpect", "zstd", "gzip", "git", "libcmocka-dev"],
    "gdb": ["gdb-multiarch"],
}


# Test programs with a C library for the architecture that the machine is not of.
CROSS = {"x86_64": ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
         "aarch64": ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]}


def missing(groups):
    wanted = list(dict.fromkeys(p for g in groups for p in GROUPS[g]))
    if "test" in groups:
        wanted += CROSS.get(os.uname().machine, [])
    if "image" in groups and os.geteuid() != 0:
        wanted.append("uidmap")  # mmdebstrap without root maps its users by newuidmap
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, text=True)
    have = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [p for p in wanted if p not in have]


def root_prefix(refusal):
    """What makes a command root's: nothing for root itself, sudo for others, else the refusal."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        raise Failure(refusal, EXIT_USAGE)
    return ["sudo"]


def ensure(groups, yes):
    """Installs what is missing from the machine's own suites, asking first."""
    packages = missing(groups)
    if not packages:
        return
    confirm(f"these packages are needed and not installed: {' '.join(packages)}\n"
            "Install them with apt-get?", yes)
    root = root_prefix(f"packages must be installed by root:\n  apt-get install {' '.join(packages)}")
    note(f"installing {' '.join(packages)}")
    run([*root, "apt-get", "-q", "update"], "apt-get update")
    run([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y",
         "--no-install-recommends", "install", *packages], "apt-get install")
