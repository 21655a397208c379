"""Meson and Ninja: one build folder per architecture and kind, below build/."""

import os
import re
import shutil
import subprocess

from deps import fetch
from umka.common import ROOT, Failure, build_dir, file_lock, note, run

CLANG_TARGET = {"x86_64": "x86_64-unknown-none-elf", "aarch64": "aarch64-unknown-none-elf"}
CPU = {"x86_64": "x86_64", "aarch64": "aarch64"}
LLD = "/usr/bin/ld.lld-19"
SHOWN_LINES = 60
IMAGE = "vmlinuz-umka"


def properties():
    """Where the pinned sources lie; meson.build reads them by meson.get_external_property()."""
    return {"linux_source": fetch.linux_source(), "linux_headers": fetch.linux_headers(),
            "zlib": fetch.zlib(), "zstd": fetch.zstd()}


def _properties_text():
    lines = ["[properties]", *(f"{k} = '{v}'" for k, v in properties().items())]
    return "\n".join(lines) + "\n"


def _tools():
    pairs = {"c": "clang-19", "ar": "llvm-ar-19", "nm": "llvm-nm-19", "strip": "llvm-strip-19",
             "objcopy": "llvm-objcopy-19", "ranlib": "llvm-ranlib-19"}
    return ["[binaries]", *(f"{k} = '{v}'" for k, v in pairs.items())]


def cross_file(arch):
    if arch not in CLANG_TARGET:
        raise Failure(f"--arch {arch}: there is no port to it yet")
    target = f"'--target={CLANG_TARGET[arch]}'"
    # Meson wants to see a linker at work, and clang drives one itself only for targets with a system.
    link_target = f"'--target={CPU[arch]}-linux-gnu'"
    text = "\n".join([
        *_tools(), "[built-in options]", f"c_args = [{target}]",
        f"c_link_args = [{link_target}, '--ld-path={LLD}', '-nostdlib']", "[host_machine]",
        "system = 'none'", f"cpu_family = '{CPU[arch]}'", f"cpu = '{CPU[arch]}'",
        "endian = 'little'", _properties_text()])
    return _write(ROOT / "build" / f"cross-{arch}.ini", text)


def native_file():
    text = "\n".join([*_tools(), "[built-in options]", f"c_link_args = ['--ld-path={LLD}']",
                      _properties_text()])
    return _write(ROOT / "build" / "native.ini", text)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def configure(where, arguments):
    """meson setup, once for each content of the files and options that it is given."""
    said = "\n".join(a.read_text() if hasattr(a, "read_text") else a for a in arguments)
    stamp = where / "umka-setup"
    if (where / "build.ninja").exists() and stamp.exists() and stamp.read_text() == said:
        return
    shutil.rmtree(where, ignore_errors=True)
    run(["meson", "setup", where, ROOT, *arguments], "meson setup")
    stamp.write_text(said)


def ninja(where, *targets):
    """Builds; what it shows of a failure is the compiler's words, not its command lines."""
    done = subprocess.run(["ninja", "-C", where, f"-j{os.cpu_count()}", *targets], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines()
                 if not re.match(r"\[\d+/\d+\]|/?\S*(clang|python3|ninja)\S* -|ninja: Entering|WARNING|Program |Cleaning|Found |Build targets", line)]
        raise Failure(f"building {where.name} failed:\n" + "\n".join(lines[:SHOWN_LINES]))


def _configured(arch, kind):
    where = build_dir(arch, kind)
    if arch == "host":
        arguments = ["--native-file", native_file(), f"-Dkind={kind}"]
    else:
        arguments = ["--cross-file", cross_file(arch), "--native-file", native_file(),
                     f"-Dkind={kind}"]
    configure(where, arguments)
    return where


def kernel(arch, kind):
    """Builds, and answers with the image to boot."""
    with file_lock(ROOT / "build" / f".{arch}-{kind}.lock", "this build"):
        where = _configured(arch, kind)
        if not (where / IMAGE).exists():
            note(f"building {where.name}")
        ninja(where)
    image = where / IMAGE
    if not image.exists():
        raise Failure(f"the build of {where.name} made no {IMAGE}")
    return image


def host_tests(kind):
    """The native build whose test() targets are the unit tests."""
    with file_lock(ROOT / "build" / f".host-{kind}.lock", "this build"):
        where = _configured("host", kind)
        ninja(where)
    return where
