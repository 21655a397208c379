"""A disk image from which Debian's GRUB boots a kernel, under SeaBIOS and under UEFI firmware.

One MBR disk serves both: GRUB's boot sector and core image in front of the first partition, and in that
partition, a FAT one of the EFI system type, GRUB's EFI program, its configuration, kernel and initrd.
Everything is written by mtools and by hand, so that no root is needed.
"""

import pathlib
import struct

from umka.common import Failure, run

SECTOR = 512
PARTITION_START = 2048          # sectors: 1 MiB, the usual gap, which holds the core image
EFI_SYSTEM_TYPE = 0xEF
GRUB = pathlib.Path("/usr/lib/grub")
MODULES = ["part_msdos", "fat", "linux", "normal", "configfile", "echo", "boot", "minicmd"]
BOOT_CODE_BYTES = 440


def _core(format_name, prefix, modules, out):
    if not (GRUB / format_name).is_dir():
        raise Failure(f"GRUB's files for {format_name} are not installed below {GRUB}")
    run(["grub-mkimage", "-O", format_name, "-o", out, "-p", prefix, *MODULES, *modules],
        f"making GRUB's image for {format_name}")
    return out.read_bytes()


def _partition_entry(start, count):
    """An active partition; the CHS fields say "use LBA"."""
    return struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", EFI_SYSTEM_TYPE, b"\xfe\xff\xff",
                       start, count)


def make(image, kernel, initrd, command_line, scratch):
    """Writes the disk image; `scratch` is a folder for what lies between."""
    files = sum(pathlib.Path(p).stat().st_size for p in (kernel, initrd))
    sectors = PARTITION_START + (files + (48 << 20)) // SECTOR
    core = _core("i386-pc", "(hd0,msdos1)/boot/grub", ["biosdisk"], scratch / "core.img")
    if len(core) > (PARTITION_START - 1) * SECTOR:
        raise Failure("GRUB's core image does not fit in front of the first partition")
    _core("x86_64-efi", "/boot/grub", [], scratch / "BOOTX64.EFI")
    config = scratch / "grub.cfg"
    config.write_text("set timeout=0\n"
                      f"linux /boot/vmlinuz {command_line}\n"
                      "initrd /boot/initrd\nboot\n", encoding="utf-8")

    boot = bytearray((GRUB / "i386-pc/boot.img").read_bytes()[:BOOT_CODE_BYTES].ljust(446, b"\0"))
    table = _partition_entry(PARTITION_START, sectors - PARTITION_START).ljust(64, b"\0")
    with open(image, "wb") as out:
        out.write(bytes(boot) + table + b"\x55\xaa")
        out.write(core)
        out.truncate(sectors * SECTOR)

    drive = f"{image}@@{PARTITION_START * SECTOR}"
    run(["mformat", "-i", drive, "-F", "-v", "BOOT", "-T", str(sectors - PARTITION_START),
         "-h", "255", "-s", "63", "::"], "making the boot file system")
    run(["mmd", "-i", drive, "::/boot", "::/boot/grub", "::/EFI", "::/EFI/BOOT"],
        "filling the boot file system")
    for source, target in ((kernel, "boot/vmlinuz"), (initrd, "boot/initrd"),
                           (config, "boot/grub/grub.cfg"), (scratch / "BOOTX64.EFI", "EFI/BOOT/BOOTX64.EFI")):
        run(["mcopy", "-i", drive, source, f"::/{target}"], "filling the boot file system")
