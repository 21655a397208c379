#!/usr/bin/env python3
"""Build vmlinuz-umka for x86-64: a Linux/x86 boot image that is a PE/COFF EFI program as well.

Layout of the file (arch/x86_64/boot/stub.ld, stub.c):
    0x0000  real-mode setup with the boot protocol header; PE header in its free bytes
    0x2000  the stub: 32-bit, 64-bit and EFI entry
    ...     kernel image (flat), relocations (u32 offsets), blob (newc cpio)
Every file offset equals the relative virtual address of the PE view, so the two views agree.
"""
import argparse
import struct
import sys

SETUP_BYTES = 0x2000
PAYLOAD_ALIGN = 0x1000
R_X86_64_RELATIVE = 8
# 64, 32, 32S, and the GOT forms, which the linker turns into absolute operands
STUB_REFUSED = {1, 9, 10, 11, 41, 42}
PT_LOAD, SHT_SYMTAB, SHT_RELA = 1, 2, 4


def fail(text):
    sys.exit("mkbzimage: " + text)


def align(n, to):
    return (n + to - 1) // to * to


class Elf:
    """The parts of an ELF64 little-endian file that this tool needs."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            fail(f"{path}: not a 64-bit little-endian ELF file")
        (self.entry, phoff, shoff) = struct.unpack_from("<QQQ", self.data, 24)
        (phsize, phnum, shsize, shnum, shstr) = struct.unpack_from("<HHHHH", self.data, 54)
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.data, phoff + i * phsize)
                         for i in range(phnum)]
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", self.data, shoff + i * shsize)
                         for i in range(shnum)]
        names = self.sections[shstr]
        self.names = [self.text(names[4] + s[0]) for s in self.sections]

    def text(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode()

    def symbols(self):
        out = {}
        for s in self.sections:
            if s[1] != SHT_SYMTAB:
                continue
            strings = self.sections[s[6]][4]
            for at in range(s[4], s[4] + s[5], 24):
                name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                out[self.text(strings + name)] = value
        return out

    def relocations(self):
        """(section it applies to, offset, type, addend)"""
        for s in self.sections:
            if s[1] != SHT_RELA:
                continue
            target = self.names[s[7]] if s[7] else ""
            for at in range(s[4], s[4] + s[5], 24):
                offset, info, addend = struct.unpack_from("<QQq", self.data, at)
                yield target, offset, info & 0xffffffff, addend


def load_kernel(path):
    """Flat image with linked addresses in place, its memory size, link base, entry, offsets to slide."""
    elf = Elf(path)
    loads = [s for s in elf.segments if s[0] == PT_LOAD]
    if not loads:
        fail(f"{path}: no loadable segment")
    base = min(s[3] for s in loads)
    end = max(s[3] + s[6] for s in loads)
    flat = bytearray(max(s[3] + s[5] for s in loads) - base)
    if base % 0x200000:
        fail(f"{path}: link base {base:#x} is not 2 MiB aligned")
    for s in loads:
        flat[s[3] - base:s[3] - base + s[5]] = elf.data[s[2]:s[2] + s[5]]
    slides = []
    for target, offset, kind, addend in elf.relocations():
        if target and not target.startswith(".rela"):
            continue        # --emit-relocs leftovers
        if kind != R_X86_64_RELATIVE:
            fail(f"{path}: relocation type {kind} at {offset:#x}; only RELATIVE is understood")
        if offset - base + 8 > len(flat):
            fail(f"{path}: relocation at {offset:#x} lies outside the image")
        struct.pack_into("<Q", flat, offset - base, addend & (2**64 - 1))
        slides.append(offset - base)
    return flat, end - base, base, elf.entry, sorted(slides)


def load_stub(path):
    elf = Elf(path)
    for target, offset, kind, _ in elf.relocations():
        if target.endswith(".setup") or ".debug" in target:
            continue
        if kind in STUB_REFUSED:
            fail(f"{path}: absolute address in {target} at {offset:#x}; the stub must run anywhere")
    symbols = elf.symbols()
    flat = bytearray(symbols["stub_end"])
    for s in elf.segments:
        if s[0] == PT_LOAD:
            flat[s[3]:s[3] + s[5]] = elf.data[s[2]:s[2] + s[5]]
    return flat, symbols


def write_pe_header(image, text_end, entry):
    """PE/COFF specification, sections 3.3 to 4: PE32+, two sections, no relocations needed."""
    total = len(image)
    struct.pack_into("<I", image, 0x3c, 0x40)
    struct.pack_into("<4sHHIIIHH", image, 0x40, b"PE\0\0", 0x8664, 2, 0, 0, 0, 160,
                     0x0206)                    # executable, no line numbers, debug stripped
    data = total - text_end
    struct.pack_into("<HBBIIIII", image, 0x58, 0x20b, 2, 20, text_end - SETUP_BYTES, data, 0,
                     entry, SETUP_BYTES)
    struct.pack_into("<QIIHHHHHHIIIIHHQQQQII", image, 0x70, 0, 0x1000, 0x200, 0, 0, 6, 12, 1, 1, 0,
                     total, SETUP_BYTES, 0, 10, 0, 0, 0, 0, 0, 0, 6)
    at = 0x58 + 160
    struct.pack_into("<8sIIIIIIHHI", image, at, b".text", text_end - SETUP_BYTES, SETUP_BYTES,
                     text_end - SETUP_BYTES, SETUP_BYTES, 0, 0, 0, 0, 0x60000020)
    struct.pack_into("<8sIIIIIIHHI", image, at + 40, b".data", data, text_end, data, text_end,
                     0, 0, 0, 0, 0xc0000040)
    assert at + 80 <= 0x1f1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stub", required=True, help="stub ELF, linked with --emit-relocs")
    parser.add_argument("--kernel", required=True, help="kernel ELF, linked -pie")
    parser.add_argument("--blob", required=True, help="cpio of tools/image/mkblob.py")
    parser.add_argument("-o", "--output", required=True)
    args = parser.parse_args()

    image, symbols = load_stub(args.stub)
    flat, mem_bytes, link, entry, slides = load_kernel(args.kernel)
    with open(args.blob, "rb") as f:
        blob = f.read()

    def append(data):
        image.extend(b"\0" * (align(len(image), PAYLOAD_ALIGN) - len(image)))
        at = len(image)
        image.extend(data)
        return at - SETUP_BYTES

    kernel_at = append(flat)
    relocs_at = append(struct.pack(f"<{len(slides)}I", *slides))
    blob_at = append(blob)
    append(b"")
    struct.pack_into("<10Q", image, symbols["stub_payload"], kernel_at, len(flat), mem_bytes, link,
                     entry, relocs_at, len(slides), blob_at, len(blob), len(image) - SETUP_BYTES)
    struct.pack_into("<I", image, 0x1f4, (len(image) - SETUP_BYTES) // 16)      # syssize
    struct.pack_into("<I", image, 0x260, align(len(image) - SETUP_BYTES, 0x1000))  # init_size
    struct.pack_into("<I", image, 0x264, symbols["efi_handover"] - SETUP_BYTES - 0x200)
    write_pe_header(image, symbols["stub_data_begin"], symbols["efi_pe_entry"])
    with open(args.output, "wb") as f:
        f.write(image)
    print(f"{args.output}: kernel {len(flat) >> 10} KiB (+{(mem_bytes - len(flat)) >> 10} KiB bss), "
          f"{len(slides)} relocations, blob {len(blob) >> 10} KiB, image {len(image) >> 10} KiB")


if __name__ == "__main__":
    main()
