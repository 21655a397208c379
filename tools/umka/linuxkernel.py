"""Debian's own kernel as a guest: its image, and an archive of the few modules that a boot needs."""

import lzma
import pathlib

from deps import fetch
from umka import cpio, elf
from umka.common import cache_dir, file_lock, note

MODULES = ["virtio_pci", "virtio_blk", "virtio_console", "virtio-rng", "ext4", "crc32c_generic",
           "crc32c-intel", "overlay", "vfat", "nls_cp437", "nls_ascii", "isofs", "virtio_net", "fuse",
           "loop", "binfmt_misc"]


def image(arch):
    return next((fetch.linux_image(arch) / "boot").glob("vmlinuz-*"))


def _load(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _in_order(files, wanted):
    """(path in the tree, content) of the wanted modules, every one after what it depends on."""
    done = {}

    def add(name):
        key = name.replace("-", "_")
        if key in done or key not in files:
            return
        data = _load(files[key])
        info = elf.modinfo(data)
        for need in filter(None, info.get("depends", "").split(",")):
            add(need)
        # "softdep: pre: crc32c" names an alias; the generic module that serves it is in MODULES.
        done[key] = (files[key], data)

    for name in wanted:
        add(name)
    return list(done.values())


def modules(arch):
    """The cached archive with /umka/modules.list and the modules, decompressed for a quick boot."""
    top = fetch.linux_image(arch)
    where = cache_dir() / "rootfs" / f"modules-{top.name}.cpio"
    if where.exists() and where.stat().st_mtime > pathlib.Path(__file__).stat().st_mtime:
        return where
    with file_lock(where.with_name(f".modules-{arch}.lock"), "Linux's modules"):
        note(f"packing the modules of Debian's kernel for {arch}")
        files = {}
        for path in top.rglob("*.ko*"):
            files[path.name.split(".ko")[0].replace("-", "_")] = path
        new = where.with_suffix(".new")
        with open(new, "wb") as out:
            archive = cpio.Writer(out)
            names = []
            for path, data in _in_order(files, MODULES):
                name = f"umka/modules/{path.name.split('.ko')[0]}.ko"
                archive.file(name, data)
                names.append(f"/{name}\n")
            archive.file("umka/modules.list", "".join(names).encode())
            archive.close()
        new.rename(where)
    return where
