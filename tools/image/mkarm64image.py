#!/usr/bin/env python3
"""Build vmlinuz-umka for AArch64: a Linux arm64 Image (Documentation/arch/arm64/booting.rst).

Layout of the file (arch/aarch64/start.S): the kernel's memory image with its zeros, from the header on, then the blob (newc cpio) at
a page boundary. The relocation table lies inside the image and start.S applies it.
"""
import argparse
import struct
import sys

R_AARCH64_RELATIVE = 1027
PT_LOAD, SHT_RELA = 1, 4
PAGE = 0x1000
MAGIC_AT, IMAGE_SIZE_AT, BLOB_AT = 56, 16, 64


def fail(text):
    sys.exit("mkarm64image: " + text)


def load_kernel(path):
    """The memory image of the ELF file, and how many relocations it has."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", data, 18)[0] != 183:
        fail(f"{path}: not an AArch64 little-endian ELF file")
    entry, phoff, shoff = struct.unpack_from("<QQQ", data, 24)
    phsize, phnum, shsize, shnum = struct.unpack_from("<HHHH", data, 54)
    loads = [s for s in (struct.unpack_from("<IIQQQQQQ", data, phoff + i * phsize)
                         for i in range(phnum)) if s[0] == PT_LOAD]
    if not loads:
        fail(f"{path}: no loadable segment")
    base = min(s[3] for s in loads)
    if base % 0x200000 or entry != base:
        fail(f"{path}: link base {base:#x} is not 2 MiB aligned or not the entry")
    flat = bytearray(max(s[3] + s[6] for s in loads) - base)
    for s in loads:
        flat[s[3] - base:s[3] - base + s[5]] = data[s[2]:s[2] + s[5]]
    slides = 0
    for i in range(shnum):
        section = struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shsize)
        if section[1] != SHT_RELA:
            continue
        for at in range(section[4], section[4] + section[5], 24):
            offset, info, _ = struct.unpack_from("<QQq", data, at)
            if info & 0xffffffff != R_AARCH64_RELATIVE:
                fail(f"{path}: relocation type {info & 0xffffffff} at {offset:#x}; only RELATIVE is understood")
            if not base <= offset <= base + len(flat) - 8:
                fail(f"{path}: relocation at {offset:#x} lies outside the image")
            slides += 1
    return flat, slides


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True, help="kernel ELF, linked -pie")
    parser.add_argument("--blob", required=True, help="cpio of tools/image/mkblob.py")
    parser.add_argument("-o", "--output", required=True)
    args = parser.parse_args()

    image, slides = load_kernel(args.kernel)
    if image[MAGIC_AT:MAGIC_AT + 4] != b"ARM\x64":
        fail(f"{args.kernel}: no Image header at its start")
    kernel_bytes = len(image)
    with open(args.blob, "rb") as f:
        blob = f.read()
    image.extend(bytes(-len(image) % PAGE))
    struct.pack_into("<QQ", image, BLOB_AT, len(image), len(blob))
    image.extend(blob)
    image.extend(bytes(-len(image) % PAGE))
    struct.pack_into("<Q", image, IMAGE_SIZE_AT, len(image))
    with open(args.output, "wb") as f:
        f.write(image)
    print(f"{args.output}: kernel {kernel_bytes >> 10} KiB, {slides} relocations, blob {len(blob) >> 10} KiB, "
          f"image {len(image) >> 10} KiB")


if __name__ == "__main__":
    main()
