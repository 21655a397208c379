"""Brings one pin of lock.toml into the cache and answers where it lies.

Every pin is a folder DEPS/NAME-KEY, where KEY is a hash of its lock entry: an edited pin is
fetched anew and the old one is left alone. A folder is filled under a temporary name and renamed,
so that what is there is whole.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tomllib

from deps import apt
from umka.common import Failure, cache_dir, file_lock, note, run

LOCK = pathlib.Path(__file__).with_name("lock.toml")


def lock_file():
    with open(LOCK, "rb") as handle:
        return tomllib.load(handle)


def _key(entry, *more):
    text = json.dumps([entry, more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_upstream(name, entry, version):
    have = apt.upstream(version)
    want = entry["upstream"]
    if have != want and not have.startswith(want + "."):
        raise Failure(f"pin '{name}' in tools/deps/lock.toml wants version {want}, "
                      f"the archive now has {version}")


def tree_hash(top, paths):
    """SHA-256 over the sorted (path, content hash) of every regular file below `paths`."""
    total = hashlib.sha256()
    files = []
    for path in paths:
        where = top / path
        files += [where] if where.is_file() else [p for p in where.rglob("*") if p.is_file()]
    for path in sorted(files):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(top)} {digest}\n".encode())
    return total.hexdigest() if files else "no such files"


def _check_hash(name, top, paths, want):
    have = tree_hash(top, paths)
    if have != want:
        raise Failure(f"pin '{name}' in tools/deps/lock.toml does not match: the archive's content "
                      f"has SHA-256\n  {have}, the pin says\n  {want or '(nothing)'}")


def _filled(name, entry, fill, *more):
    """The cache folder of a pin; fill(folder) makes its content when it is not there yet."""
    where = cache_dir() / "deps" / f"{name}-{_key(entry, *more)}"
    if where.is_dir():
        return where
    with file_lock(cache_dir() / "deps" / f".{where.name}.lock", name):
        if where.is_dir():
            return where
        note(f"fetching {name} into the cache")
        scratch = where.with_name(f".{where.name}.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        fill(scratch)
        scratch.rename(where)
    return where


def host_deb_arch():
    return run(["dpkg", "--print-architecture"], "asking dpkg for the architecture").strip()


def qemu():
    """The folder that QEMU and its libraries and firmware are unpacked in."""
    entry = lock_file()["qemu"][apt.host_suite()]

    def fill(where):
        root = apt.Root(cache_dir(), entry["suites"], host_deb_arch())
        debs = root.download(entry["packages"], closure=True)
        for package in entry["packages"]:
            _check_upstream("qemu", entry, debs[package][0])
        for package, (_, deb) in debs.items():
            # The dynamic linker is the machine's, so its C library must be too.
            if package not in ("libc6", "libc-bin"):
                apt.unpack(deb, where)

    return _filled("qemu", entry, fill)


def qemu_command(program):
    """(argv prefix, environment) that runs e.g. qemu-system-x86_64 with its own firmware."""
    top = qemu()
    binary = top / "usr/bin" / program
    if not binary.exists():
        raise Failure(f"{program} is not among the packages of pin 'qemu' in tools/deps/lock.toml")
    triplet = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[host_deb_arch()]
    libs = [top / f"usr/lib/{triplet}", top / f"lib/{triplet}", top / "usr/lib"]
    env = dict(os.environ, LD_LIBRARY_PATH=":".join(str(p) for p in libs),
               QEMU_MODULE_DIR=str(top / f"usr/lib/{triplet}/qemu"))
    argv = [str(binary)]
    for data in ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"):
        argv += ["-L", str(top / data)]
    return argv, env


def linux_image(arch):
    """Debian 13's kernel package: folder with boot/vmlinuz-* and lib/modules/*."""
    entry = lock_file()["linux-image"]
    if arch not in entry["packages"]:
        raise Failure(f"--kernel linux: no Debian kernel is pinned for {arch} "
                      "(tools/deps/lock.toml, pin 'linux-image')")

    def fill(where):
        root = apt.Root(cache_dir(), entry["suites"], apt.DEB_ARCH[arch])
        real = root.resolve(entry["packages"][arch])[0]
        version, deb = root.download([real], closure=False)[real]
        _check_upstream("linux-image", entry, version)
        apt.unpack(deb, where)
        (where / "version").write_text(version + "\n", encoding="ascii")

    return _filled(f"linux-image-{arch}", entry, fill, arch)


def linux_headers():
    """User-space headers of Linux 6.12: usr/include and usr/include/TRIPLET of every architecture."""
    entry = lock_file()["linux-headers"]

    def fill(where):
        root = apt.Root(cache_dir(), entry["suites"], "amd64")
        version, deb = root.download([entry["package"]], closure=False)[entry["package"]]
        _check_upstream("linux-headers", entry, version)
        apt.unpack(deb, where)

    return _filled("linux-headers", entry, fill)


def linux_source():
    """The few permissively licensed parts of Linux that we use; see the groups in lock.toml."""
    entry = lock_file()["linux-source"]
    groups = entry["groups"]

    def fill(where):
        root = apt.Root(cache_dir(), entry["suites"], "amd64")
        version, deb = root.download([entry["package"]], closure=False)[entry["package"]]
        _check_upstream("linux-source", entry, version)
        whole = where / ".deb"
        apt.unpack(deb, whole)
        stem = pathlib.Path(entry["tarball"]).name.removesuffix(".tar.xz")
        paths = [f"{stem}/{p}" for group in groups.values() for p in group["paths"]]
        unxz = subprocess.Popen(["xz", "-dc", "-T0", str(whole / entry["tarball"])],
                                stdout=subprocess.PIPE)
        run(["tar", "-x", "--strip-components=1", "-C", where, *paths],
            "unpacking linux-source", stdin=unxz.stdout)
        unxz.stdout.close()
        if unxz.wait() != 0:
            raise Failure("unpacking linux-source failed (xz)")
        shutil.rmtree(whole)
        for name, group in groups.items():
            _check_hash(f"linux-source.groups.{name}", where, group["paths"], group["sha256"])

    return _filled("linux-source", entry, fill)


def _source_tree(name):
    """The upstream tarball of a Debian source package, unpacked."""
    entry = lock_file()[name]

    def fill(where):
        root = apt.Root(cache_dir(), entry["suites"], "amd64")
        version, tarball = root.source_tarball(entry["source"])
        _check_upstream(name, entry, version)
        run(["tar", "-x", "--strip-components=1", "-C", where, "-f", tarball], f"unpacking {name}")
        _check_hash(name, where, ["."], entry["sha256"])

    return _filled(name, entry, fill)


def zlib():
    return _source_tree("zlib")


def zstd():
    """libzstd with the single-file decoder combined in zstddeclib.c beside it."""
    top = _source_tree("zstd")
    out = top / "zstddeclib.c"
    if out.exists():
        return top
    with file_lock(top.with_name(f".{top.name}.combine.lock"), "the zstd decoder"):
        if not out.exists():
            tools = top / "build/single_file_libs"
            run(["/usr/bin/python3", "combine.py", "-r", "../../lib", "-x", "legacy/zstd_legacy.h",
                 "-o", "zstddeclib.c.new", "zstddeclib-in.c"], "combining the zstd decoder", cwd=tools)
            (tools / "zstddeclib.c.new").rename(out)
    return top


def ovmf():
    """UEFI firmware: usr/share/OVMF/OVMF_CODE_4M.fd and its variables."""
    entry = lock_file()["ovmf"]

    def fill(where):
        root = apt.Root(cache_dir(), entry["suites"], "amd64")
        version, deb = root.download([entry["package"]], closure=False)[entry["package"]]
        _check_upstream("ovmf", entry, version)
        apt.unpack(deb, where)

    return _filled("ovmf", entry, fill)
