"""Root file systems: `mini` (an initramfs) and `debian` (an ext4 image), built once and cached."""

import hashlib
import inspect
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time

from deps import apt, fetch
from umka import cpio, elf, install
from umka.common import EXIT_USAGE, Failure, cache_dir, file_lock, note, run

DEBIAN_SUITE = "trixie"
MINI_PACKAGES = ["busybox-static", "bash", "dash", "coreutils", "ncurses-base"]
# What mini takes from the packages' closure: programs as they are, libraries by what those need.
MINI_PROGRAM_DIRS = ("usr/bin", "bin", "usr/sbin", "sbin")
MINI_TERMINFO = ("dumb", "linux", "vt100", "vt220", "xterm", "xterm-256color", "screen",
                 "screen-256color", "tmux", "tmux-256color")
DEBIAN_PACKAGES = ["python3", "gcc", "libc6-dev", "make", "git", "perl", "procps", "e2fsprogs",
                   "stress-ng", "sqlite3", "tmux", "strace", "gdb"]
OLD_SECONDS = 7 * 24 * 3600
DEBIAN_IMAGE_MIB = 2560
SECOND_STAGE_SECONDS = 1800
# No orphan file (a feature newer than what we read); everything else as mke2fs' own "ext4" type.
EXT4_OPTIONS = ["-t", "ext4", "-b", "4096", "-O",
                "extents,dir_index,metadata_csum,64bit,has_journal,^orphan_file",
                "-E", "lazy_itable_init=0,lazy_journal_init=0"]


def _mini_hash():
    """The cached mini root is made anew when the code or the lists behind it change."""
    code = "".join(inspect.getsource(part) for part in
                   (_write_mini, _mini_libraries, _busybox_applets, cpio.Writer))
    lists = (MINI_PACKAGES, MINI_PROGRAM_DIRS, MINI_TERMINFO, MINI_FILES, DEBIAN_SUITE)
    return hashlib.sha256((code + repr(lists)).encode()).hexdigest()[:12]


def _find(tree, path):
    """A file of an unpacked (usr-merged) package tree under any of its names."""
    for candidate in (tree / path, tree / "usr" / path):
        if candidate.exists() or candidate.is_symlink():
            return candidate
    return None


def _busybox_applets(data):
    """BusyBox's applet names, read from the binary: it may be of another architecture."""
    start = data.find(b"[\0[[\0")
    if start < 0:
        raise Failure("busybox-static: its table of applets was not found")
    end = data.index(b"\0\0", start)
    return [n.decode() for n in data[start:end].split(b"\0")]


def _mini_libraries(tree, programs):
    """The closure of NEEDED over some programs: name -> file."""
    where = {}
    for folder in (tree / "usr/lib", tree / "lib"):
        for path in folder.rglob("*.so*"):
            where.setdefault(path.name, path)
    todo = [name for data in programs for name in elf.needed(data)]
    found = {}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        if name not in where:
            raise Failure(f"mini: no package brings {name}")
        found[name] = where[name]
        todo += elf.needed(where[name].read_bytes())
    return found


MINI_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/hostname": "umka\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/shells": "/bin/sh\n/bin/bash\n",
    "etc/profile": "PS1='\\u@\\h:\\w\\$ '\nexport PS1\n",
    "root/.profile": "",
}


def _write_mini(owners, tree, out):
    """`owners`: the packages whose programs are taken; `tree`: those and all they depend on."""
    archive = cpio.Writer(out)
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "root", "proc", "sys", "dev",
                 "run", "tmp", "var/tmp", "mnt", "umka"):
        archive.directory(name, 0o1777 if name.endswith("tmp") else 0o755)
    for name in ("bin", "sbin", "lib", "lib64"):
        archive.symlink(name, f"usr/{name}")
    archive.node("dev/console", stat.S_IFCHR, 5, 1, 0o600)
    archive.node("dev/null", stat.S_IFCHR, 1, 3, 0o666)

    seen, programs = set(), []
    for folder in MINI_PROGRAM_DIRS:
        if not (owners / folder).is_dir():
            continue
        inside = folder if folder.startswith("usr/") else f"usr/{folder}"
        for path in sorted((owners / folder).iterdir()):
            seen.add(path.name)
            if path.is_symlink():
                archive.symlink(f"{inside}/{path.name}", os.readlink(path))
                continue
            data = path.read_bytes()
            programs.append(data)
            archive.file(f"{inside}/{path.name}", data, 0o755)
    if "sh" not in seen:
        seen.add("sh")
        archive.symlink("usr/bin/sh", "dash")
    # BusyBox serves what no other package brings, except a boot's own programs.
    busybox = _find(tree, "bin/busybox").read_bytes()
    for name in _busybox_applets(busybox):
        if name not in seen and name not in ("busybox", "init", "linuxrc"):
            archive.symlink(f"usr/bin/{name}", "busybox")
    for name, path in sorted(_mini_libraries(tree, programs).items()):
        archive.file(f"usr/lib/{name}" if not name.startswith("ld-linux-x86-64") else
                     f"usr/lib64/{name}", path.read_bytes(), 0o755)
    for path in sorted(tree.rglob("usr/share/terminfo/*/*")) + sorted(tree.rglob("lib/terminfo/*/*")):
        if path.name in MINI_TERMINFO and path.is_file():
            archive.file(f"usr/share/terminfo/{path.name[0]}/{path.name}", path.read_bytes())
    for name, text in MINI_FILES.items():
        archive.file(name, text.encode())
    archive.close()


def mini(arch):
    """The cached, uncompressed initramfs (without /init, which is packed per run)."""
    where = cache_dir() / "rootfs" / f"mini-{arch}-{_mini_hash()}.cpio"
    if where.exists():
        return where
    with file_lock(where.with_name(f".mini-{arch}.lock"), "the mini root"):
        if where.exists():
            return where
        note(f"building the mini root file system for {arch}")
        for old in where.parent.glob(f"mini-{arch}-*"):
            if time.time() - old.stat().st_mtime > OLD_SECONDS:
                old.unlink()
        root = apt.Root(cache_dir(), [DEBIAN_SUITE], apt.DEB_ARCH[arch])
        debs = root.download(MINI_PACKAGES, closure=True)
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            tree = pathlib.Path(scratch) / "tree"
            owners = pathlib.Path(scratch) / "owners"
            for package, (_, deb) in debs.items():
                apt.unpack(deb, tree)
                if package in MINI_PACKAGES:
                    apt.unpack(deb, owners)
            new = where.with_suffix(".new")
            with open(new, "wb") as out:
                _write_mini(owners, tree, out)
        new.rename(where)
    return where


FOLDER_MIB_MAX = 512


def of_folder(folder):
    """A folder as an initramfs, cached by what is in it."""
    total = hashlib.sha256()
    size = 0
    for base, dirs, files in os.walk(folder):
        dirs.sort()
        for name in sorted(files):
            info = os.lstat(os.path.join(base, name))
            size += info.st_size
            total.update(f"{base}/{name} {info.st_mtime_ns} {info.st_size} {info.st_mode}\n".encode())
    if size > FOLDER_MIB_MAX << 20:
        raise Failure(f"--rootfs {folder}: {size >> 20} MiB are too much to be a root in memory; make "
                      "an image of it (mke2fs -d) and give that", EXIT_USAGE)
    where = cache_dir() / "rootfs" / f"folder-{total.hexdigest()[:16]}.cpio"
    if not where.exists():
        where.parent.mkdir(parents=True, exist_ok=True)
        new = where.with_suffix(f".{os.getpid()}")
        with open(new, "wb") as out:
            archive = cpio.Writer(out)
            archive.tree(folder)
            archive.node("dev/console", stat.S_IFCHR, 5, 1, 0o600)
            archive.close()
        new.rename(where)
    return where


def make_ext4(folder, image, mib, label="root"):
    """An ext4 image of a folder, without root."""
    with open(image, "wb") as handle:
        handle.truncate(mib << 20)
    run(["/sbin/mke2fs", "-q", "-F", *EXT4_OPTIONS, "-L", label, "-d", folder, image],
        f"making an ext4 image of {folder}")


def _image_of_tar(tar, scratch, image, foreign):
    """An ext4 image with a tar's owners and modes, as root or not."""
    tree = scratch / "tree"
    tree.mkdir()
    run(["tar", "-x", "-p", "--numeric-owner", "--exclude=./dev/*", "-C", tree, "-f", tar],
        "unpacking the debian root")
    if foreign:
        (tree / "second-stage").write_text(SECOND_STAGE, encoding="utf-8")
    # Without root the files are ours while they lie unpacked; the image gets the owners of the tar.
    owners = []
    if os.geteuid() != 0:
        with tarfile.open(tar) as archive:
            for member in archive:
                name = "/" + member.name.removeprefix(".").strip("/")
                if not name.startswith("/dev/"):
                    owners += [f'sif "{name}" uid {member.uid}', f'sif "{name}" gid {member.gid}']
    make_ext4(tree, image, DEBIAN_IMAGE_MIB)
    if owners:
        script = scratch / "owners"
        script.write_text("\n".join(owners) + "\n", encoding="utf-8")
        run(["/sbin/debugfs", "-w", "-f", script, image], "setting owners in the image")


# What a foreign root's guest runs on Debian's kernel, once: the packages lie unpacked, but nothing
# has been configured. The order is debootstrap's: what all maintainer scripts need comes first.
SECOND_STAGE = """#!/bin/sh
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8
cd /var/cache/apt/archives || exit 1
[ -e /etc/passwd ] || cp /usr/share/base-passwd/passwd.master /etc/passwd
[ -e /etc/group ] || cp /usr/share/base-passwd/group.master /etc/group
[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk
touch /var/lib/dpkg/available
first='--force-depends --force-unsafe-io --install'
for name in base-passwd base-files libc6 dpkg perl-base mawk debconf; do
	dpkg $first "$name"_*.deb || exit 1
done
dpkg --force-depends --force-unsafe-io --unpack *.deb || exit 1
dpkg --force-depends --force-unsafe-io --configure --pending || dpkg --configure -a || exit 1
rm -f /var/cache/apt/archives/*.deb /second-stage
dpkg --audit
"""


def _configure_in_guest(arch, image):
    """Runs the maintainer scripts of a foreign root where they can run: on Linux, in the machine."""
    from umka import linuxkernel, machine, runner
    output = bytearray()
    guest = runner.Guest(arch=arch, kernel=linuxkernel.image(arch), cpus=2, memory_mib=1024,
                         initrds=[mini(arch), linuxkernel.modules(arch)],
                         disks=[machine.Disk(str(image))], root_device="/dev/vda",
                         root_type="ext4", command=["sh", "/second-stage"], timeout=SECOND_STAGE_SECONDS)
    if runner.boot(guest, output=output.extend) != 0:
        text = "\n".join(output.decode(errors="replace").splitlines()[-25:])
        raise Failure(f"configuring the debian root for {arch} failed:\n{text}")
    run(["/sbin/e2fsck", "-fn", image], "checking the debian root")


def _mmdebstrap_rights():
    """The command prefix and the mode that let mmdebstrap give its files owners here. Where user
    namespaces are forbidden (in a chroot, unshare(2) EPERM; by a container's or a site's policy) it
    takes root, asked for as the installation of packages asks for it."""
    if os.geteuid() == 0:
        return [], "root"
    if subprocess.run(["unshare", "--user", "true"], stdin=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return [], "unshare"
    return install.root_prefix("user namespaces are forbidden here and there is no sudo: make the debian "
                               "root as root once (./umka run --rootfs debian -- true)"), "root"


def debian(arch):
    """The cached ext4 image of a Debian 13 with the packages that the project tests with."""
    key = hashlib.sha256(json.dumps([DEBIAN_PACKAGES, EXT4_OPTIONS, DEBIAN_IMAGE_MIB,
                                     DEBIAN_SUITE, SECOND_STAGE]).encode()).hexdigest()[:12]
    where = cache_dir() / "rootfs" / f"debian-{arch}-{key}.ext4"
    if where.exists():
        return where
    with file_lock(where.with_name(f".debian-{arch}.lock"), "the debian root"):
        if where.exists():
            return where
        note(f"building the debian root file system for {arch} (some minutes, once)")
        foreign = apt.DEB_ARCH[arch] != fetch.host_deb_arch()
        packages, variant, more = DEBIAN_PACKAGES, "minbase", []
        if foreign:
            packages = [*packages, "apt", "?essential", "?priority(required)"]
            variant, more = "extract", ["--skip=cleanup/apt"]
        new = where.with_suffix(".new")
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            tar = pathlib.Path(scratch) / "root.tar"
            source = f"deb {apt.mirrors()[0]} {DEBIAN_SUITE} main"
            prefix, mode = _mmdebstrap_rights()
            run([*prefix, "mmdebstrap", f"--mode={mode}",
                 f"--variant={variant}", f"--architectures={apt.DEB_ARCH[arch]}", *more,
                 *(f"--include={p}" for p in packages), "--aptopt=Acquire::Languages \"none\"",
                 *(f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "locale")),
                 DEBIAN_SUITE, tar, source], "mmdebstrap")
            if prefix:
                run([*prefix, "chown", f"{os.getuid()}:{os.getgid()}", tar], "taking over the debian root")
            _image_of_tar(tar, pathlib.Path(scratch), new, foreign)
        if foreign:
            _configure_in_guest(arch, new)
        new.rename(where)
    return where
