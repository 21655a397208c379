#!/usr/bin/python3
"""./umka: run, test, build, list, gdb. Options may stand before or after the verb's words."""

import argparse
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from umka import install  # noqa: E402
from umka.common import (ARCHES, EXIT_FAILED, EXIT_USAGE, ROOT, Failure,  # noqa: E402
                         build_dir, note)

KINDS = ("release", "debug", "asan")
PORTS = ("x86_64", "aarch64")
DEFAULT_MEMORY = {"mini": 512, "debian": 2048}


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(f"{message}\nTry: ./umka {self.verb} --help" if getattr(self, "verb", None)
                      else f"{message}\nTry: ./umka --help", EXIT_USAGE)


def _memory(text):
    scale = {"K": 1 / 1024, "M": 1, "G": 1024}
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in scale else (text, "M")
    try:
        mib = int(float(number) * scale[unit])
    except ValueError:
        mib = 0
    if mib < 16:
        raise argparse.ArgumentTypeError(f"'{text}' is not an amount of memory (512, 512M, 2G)")
    return mib


def _count(text):
    if not text.isdigit() or not 1 <= int(text) <= 512:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of processors")
    return int(text)


def _common():
    common = _Parser(add_help=False)
    common.add_argument("--yes", "-y", action="store_true",
                        help="install missing packages without asking")
    return common


def _target(parser):
    parser.add_argument("--arch", default="x86_64", choices=ARCHES, metavar="A",
                        help="architecture (see ./umka list); default x86_64")
    parser.add_argument("--build", default="release", choices=KINDS, metavar="KIND",
                        help="release, debug or asan; default release")


def _guest(parser):
    parser.add_argument("--kernel", default="umka", choices=("umka", "linux"),
                        help="ours, or Debian 13's own on the same machine; default umka")
    parser.add_argument("--rootfs", default="mini", metavar="ROOT",
                        help="mini, debian, a folder, or a disk image; default mini")
    parser.add_argument("--cpus", type=_count, default=1, metavar="N", help="default 1")
    parser.add_argument("--memory", type=_memory, metavar="M",
                        help="MiB, or with a unit: 512, 512M, 2G; default 512 (debian: 2048)")
    parser.add_argument("--drive", action="append", default=[], metavar="FILE",
                        help="one more disk (raw or qcow2), written to; may be repeated")
    parser.add_argument("--net", action="store_true", help="a network card with QEMU's user network")
    parser.add_argument("--overlay", metavar="DIR", help="appears in the guest as /overlay")
    parser.add_argument("--append", default="", metavar="STR", help="more kernel command line")
    parser.add_argument("--console", default="serial", choices=("serial", "hvc"),
                        help="the terminal: a serial line, or a virtio console (hvc0); default serial")
    parser.add_argument("--no-entropy", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--firmware", default="", choices=("bios", "uefi"),
                        help="boot by GRUB from a disk image instead of QEMU's -kernel")
    parser.add_argument("--no-initrd", action="store_true",
                        help="the mini root as a disk that the kernel mounts itself (root=)")
    parser.add_argument("--initrd-compression", default="", metavar="METHOD",
                        choices=("gzip", "xz", "zstd"), help="gzip, xz or zstd; default none")
    parser.add_argument("--raw-initrd", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="an end for CMD")
    parser.add_argument("--boot-timeout", type=float, default=180, metavar="SECONDS",
                        help="an end for the boot; default 180")
    parser.add_argument("--log", metavar="FILE", help="kernel log; default build/log/last")
    parser.add_argument("--show-boot", action="store_true", help="kernel log on stderr too")
    parser.add_argument("--qemu", action="append", default=[], metavar="ARG",
                        help="one more argument for QEMU; may be repeated")


def _verbs():
    common = _common()
    parsers = {}

    def verb(name, text, *groups):
        parser = _Parser(prog=f"umka {name}", description=text, parents=[common])
        parser.verb = name
        for group in groups:
            group(parser)
        parsers[name] = (parser, text)
        return parser

    verb("run", "Boots to a shell, or runs CMD in the guest and exits with CMD's status: CMD's "
                "output on stdout, the kernel log in a file. Ctrl-A x ends the guest.",
         _target, _guest).usage = "umka run [options] [-- CMD...]"
    test = verb("test", "Runs all tests, or the suites named. The last line counts them.", _target)
    test.add_argument("names", nargs="*", metavar="NAME", help="suites (see ./umka test --list)")
    test.add_argument("--list", action="store_true", help="lists the suites")
    test.add_argument("--lanes", type=_count, default=2, help="suites at a time; default 2")
    for name, text in (("--count", "how many, for suites that count something"),
                       ("--seed", "where random choices start"),
                       ("--resume", "a ledger to go on from"),
                       ("--cpus", "CPUs of guests, for suites that choose by themselves else"),
                       ("--append", "more kernel command line, for suites that boot the kernel's checks")):
        test.add_argument(name, metavar=name[2:].upper(), help=text)
    test.set_defaults(arch=None, build=None)
    verb("build", "Builds the kernel and its modules below build/ARCH-KIND.", _target)
    verb("list", "Lists architectures, kernels, root file systems and what is built.")
    verb("gdb", "Boots the kernel stopped, with gdb attached to it.", _target, _guest)
    verb("qemu-path", "Prints the command that runs QEMU from the cache, and its library path.",
         _target)
    verb("deps", "Fetches what the build takes from outside the tree, and prints where it lies.")
    return parsers


def _help(parsers):
    lines = ["usage: ./umka VERB [options]", ""]
    lines += [f"  {name:<10} {text}" for name, (_, text) in parsers.items()
              if name not in ("qemu-path", "deps")]
    lines += ["", "./umka VERB --help tells a verb's options. Missing packages are installed after a",
              "question, or without one with --yes."]
    return "\n".join(lines)


def _split(argv):
    """(words before --, CMD after it or None)."""
    if "--" in argv:
        at = argv.index("--")
        return argv[:at], argv[at + 1:]
    return argv, None


def _find_verb(words, parsers):
    """The verb may follow options; an option's value is never a verb's name by accident only when
    it is skipped together with its option."""
    flags = {"--yes", "-y", "--net", "--list", "--show-boot", "--no-initrd", "--no-entropy", "--help",
             "-h"}
    skip = False
    for i, word in enumerate(words):
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word not in flags and "=" not in word
        else:
            if word not in parsers:
                raise Failure(f"there is no verb '{word}'\nTry: ./umka --help", EXIT_USAGE)
            return word, words[:i] + words[i + 1:]
    return None, words


def _check_places(options):
    """What is named and is not there: said before anything is installed, fetched or built."""
    name = options.rootfs
    if name not in ("mini", "debian") and not os.path.isfile(name) and not os.path.isdir(name):
        raise Failure(f"--rootfs {name}: neither mini, debian, a folder nor an image", EXIT_USAGE)
    for path in options.drive:
        if not os.path.isfile(path):
            raise Failure(f"--drive {path}: there is no such file", EXIT_USAGE)
    if options.overlay and not os.path.isdir(options.overlay):
        raise Failure(f"--overlay {options.overlay}: there is no such folder", EXIT_USAGE)
    if options.arch not in PORTS and options.kernel == "umka":
        raise Failure(f"--arch {options.arch}: no port yet; there are {' and '.join(PORTS)}", EXIT_USAGE)


def _need(options, *groups):
    install.ensure(groups, options.yes)


def _kernel(options):
    from umka import build, linuxkernel
    if options.kernel == "linux":
        return linuxkernel.image(options.arch), [linuxkernel.modules(options.arch)]
    return build.kernel(options.arch, options.build), []


def _image_format(path):
    with open(path, "rb") as handle:
        return "qcow2" if handle.read(4) == b"QFI\xfb" else "raw"


def _drives(paths):
    from umka.machine import Disk
    return [Disk(os.path.abspath(path), _image_format(path)) for path in paths]


def _root(options, guest):
    """Fills in what --rootfs means: archives, or a disk to enter after the mini root."""
    from umka import rootfs
    from umka.machine import Disk
    name = options.rootfs
    mini = None
    if name in ("mini", "debian") or os.path.isfile(name):
        mini = rootfs.mini(options.arch)
    if name == "debian":
        disk = Disk(str(rootfs.debian(options.arch)), throwaway=True)
    elif os.path.isfile(name):
        disk = Disk(os.path.abspath(name), _image_format(name))
    elif name == "mini":
        disk = None
    else:
        guest.initrds.insert(0, rootfs.of_folder(name))
        return
    guest.initrds.insert(0, mini)
    if disk:
        guest.disks.insert(0, disk)
        guest.root_device, guest.root_type = "/dev/vda", "ext4"


def _groups_of_run(options):
    groups = ["fetch", "guest"]
    if options.kernel == "umka":
        groups.append("build")
    if options.rootfs == "debian":
        groups.append("image")
    if options.no_initrd:
        groups.append("image")
    if options.firmware:
        groups.append("grub")
    return groups


def _make_guest(options, command):
    from umka.runner import Guest
    kernel, initrds = _kernel(options)
    guest = Guest(arch=options.arch, kernel=kernel, initrds=list(initrds), cpus=options.cpus,
                  memory_mib=options.memory or DEFAULT_MEMORY.get(options.rootfs, 1024),
                  network=options.net, append=options.append, command=command or [],
                  timeout=options.timeout, boot_timeout=options.boot_timeout, log=options.log,
                  extra=list(options.qemu), show_boot=options.show_boot,
                  overlay=pathlib.Path(options.overlay) if options.overlay else None,
                  disks=_drives(options.drive), firmware=options.firmware,
                  compression=options.initrd_compression, no_initrd=options.no_initrd,
                  console=options.console, entropy=not options.no_entropy)
    if options.raw_initrd:
        guest.raw_initrd = pathlib.Path(options.raw_initrd)
    else:
        _root(options, guest)
    return guest


def do_run(options, command):
    from umka import runner
    if command == []:
        raise Failure("nothing follows --: it wants a command, or leave it out for a shell",
                      EXIT_USAGE)
    _check_places(options)
    _need(options, *_groups_of_run(options))
    return runner.boot(_make_guest(options, command))


def do_gdb(options, command):
    from umka import gdb
    if not sys.stdin.isatty():
        raise Failure("gdb wants a terminal", EXIT_USAGE)
    _check_places(options)
    _need(options, "gdb", *_groups_of_run(options))
    return gdb.debug(_make_guest(options, command), build_dir(options.arch, options.build))


def do_build(options, _):
    from umka import build
    _need(options, "fetch", "build")
    print(build.kernel(options.arch, options.build).relative_to(ROOT))
    return 0


def do_test(options, _):
    from umka import tests
    if options.list:
        return tests.list_suites()
    tests.check_names(options.names)
    _need(options, "fetch", "guest", "build", "image", "grub", "test")
    settings = {"UMKA_" + name.upper(): value for name in
                ("arch", "build", "count", "seed", "resume", "cpus", "append")
                if (value := getattr(options, name)) is not None}
    return tests.run_suites(options.names, options.lanes, settings)


def do_list(options, _):
    print("architectures:  " + "  ".join(f"{a}{'' if a in PORTS else ' (no port yet)'}"
                                         for a in ARCHES))
    print("kernels:        umka  linux")
    print("builds:         " + "  ".join(KINDS))
    print("root systems:   mini  debian  a folder  an image")
    built = sorted((ROOT / "build").glob("*/vmlinuz-umka"))
    print("built:          " + ("  ".join(p.parent.name for p in built) or "nothing yet"))
    return 0


def do_qemu_path(options, _):
    from deps import fetch
    from umka.machine import MACHINES
    _need(options, "fetch")
    argv, env = fetch.qemu_command(MACHINES[options.arch]["program"])
    print(f"LD_LIBRARY_PATH={env['LD_LIBRARY_PATH']} QEMU_MODULE_DIR={env['QEMU_MODULE_DIR']} "
          + " ".join(argv))
    return 0


def do_deps(options, _):
    from umka import build
    _need(options, "fetch")
    for name, path in build.properties().items():
        print(f"{name}={path}")
    return 0


ACTIONS = {"run": do_run, "test": do_test, "build": do_build, "list": do_list, "gdb": do_gdb,
           "qemu-path": do_qemu_path, "deps": do_deps}


def main(argv):
    words, command = _split(argv)
    parsers = _verbs()
    verb, rest = _find_verb(words, parsers)
    if verb is None:
        if any(w in ("--help", "-h") for w in words) or not words:
            print(_help(parsers))
            return 0 if words else EXIT_USAGE
        raise Failure("no verb given\nTry: ./umka --help", EXIT_USAGE)
    if command is not None and verb not in ("run", "gdb"):
        raise Failure(f"'{verb}' takes no command after --", EXIT_USAGE)
    options = parsers[verb][0].parse_intermixed_args(rest)
    return ACTIONS[verb](options, command)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        note(str(failure))
        sys.exit(failure.code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_FAILED)
