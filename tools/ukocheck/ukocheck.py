#!/usr/bin/env python3
"""ukocheck: refuses a module that the loader would refuse, naming the symbol at fault.

usage: ukocheck.py --kind KIND [--instrumented] [--kernel-symbols FILE] NAME.uko
"""
import argparse
import struct
import sys

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_REL = 1, 2, 3, 4, 7, 8, 9
SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY = 14, 15, 16
SHF_WRITE, SHF_ALLOC, SHF_EXEC, SHF_TLS = 1, 2, 4, 0x400
SHN_UNDEF, SHN_ABS, SHN_COMMON = 0, 0xfff1, 0xfff2
KINDS = ["component", "subsystem", "policy", "personality", "services", "view"]
MAY_USE_CORE = {"subsystem", "personality", "view"}
ALLOWED = {".text", ".rodata", ".kabi.vtable", ".note.kabi"}
# What sanitizer builds add to any code; the kernel supplies it (asan and debug builds only).
INSTRUMENTATION = ("__asan_", "__ubsan_handle_", "__sanitizer_cov_", "__tsan_")


class Elf:
    """Sections, symbols and relocations of a relocatable file; ValueError when malformed."""

    def __init__(self, data):
        self.data = data
        if data[:4] != b"\x7fELF" or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise ValueError("not an ELF file")
        self.is64 = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        head = self.unpack("HHI" + ("QQQ" if self.is64 else "III") + "IHHHHHH", 16)
        if head[0] != 1:
            raise ValueError("not a relocatable file (ET_REL)")
        self.machine = head[1]
        shoff, shentsize, shnum, shstrndx = head[5], head[10], head[11], head[12]
        self.sections = []
        for i in range(shnum):
            f = self.unpack("II" + ("QQQQIIQQ" if self.is64 else "IIIIIIII"), shoff + i * shentsize)
            self.sections.append(dict(zip(("name", "type", "flags", "addr", "offset", "size", "link",
                                           "info", "align", "entsize"), f), index=i))
        names = self.content(self.sections[shstrndx])
        for s in self.sections:
            s["name"] = self.string(names, s["name"])
        self.read_symbols()

    def unpack(self, form, at):
        size = struct.calcsize(self.order + form)
        if at < 0 or at + size > len(self.data):
            raise ValueError("truncated file")
        return struct.unpack_from(self.order + form, self.data, at)

    def content(self, section):
        if section["type"] == SHT_NOBITS:
            return b""
        end = section["offset"] + section["size"]
        if end > len(self.data):
            raise ValueError("section %s reaches beyond the file" % section["name"])
        return self.data[section["offset"]:end]

    @staticmethod
    def string(table, at):
        end = table.find(b"\0", at)
        return table[at:end if end >= 0 else len(table)].decode("utf-8", "replace")

    def read_symbols(self):
        self.symbols = []
        for s in self.sections:
            if s["type"] != SHT_SYMTAB:
                continue
            names = self.content(self.sections[s["link"]])
            step = 24 if self.is64 else 16
            for at in range(s["offset"], s["offset"] + s["size"], step):
                if self.is64:
                    name, info, other, shndx, value, size = self.unpack("IBBHQQ", at)
                else:
                    name, value, size, info, other, shndx = self.unpack("IIIBBH", at)
                self.symbols.append({"name": self.string(names, name), "bind": info >> 4,
                                     "type": info & 15, "shndx": shndx, "value": value,
                                     "size": size})

    def relocations(self, target):
        for s in self.sections:
            if s["type"] not in (SHT_RELA, SHT_REL) or s["info"] != target["index"]:
                continue
            rela = s["type"] == SHT_RELA
            word = "Q" if self.is64 else "I"
            step = struct.calcsize(word) * (3 if rela else 2)
            for at in range(s["offset"], s["offset"] + s["size"], step):
                offset, info = self.unpack(word * 2, at)
                number = info >> 32 if self.is64 else info >> 8
                if number >= len(self.symbols):
                    raise ValueError("relocation names symbol %d of %d" %
                                     (number, len(self.symbols)))
                yield offset, self.symbols[number], rela and self.signed(word, at)

    def signed(self, word, at):
        return self.unpack(word.lower(), at + 2 * struct.calcsize(word))[0]

    def symbol_at(self, section, offset):
        """Name of the object or function that holds `offset`, for messages."""
        best = None
        for sym in self.symbols:
            if sym["shndx"] != section["index"] or not sym["name"] or sym["type"] == 3:
                continue
            if sym["name"].startswith("$") or sym["value"] > offset:
                continue
            if best is None or sym["value"] >= best["value"]:
                best = sym
        return best["name"] if best else "%s+0x%x" % (section["name"], offset)

    def names_in(self, section):
        found = [s["name"] for s in self.symbols
                 if s["shndx"] == section["index"] and s["type"] != 3 and s["name"]
                 and not s["name"].startswith("$")]
        return ", ".join(sorted(found)[:5]) if found else "(no symbol)"


def check_sections(elf, complain):
    for s in elf.sections:
        if not s["flags"] & SHF_ALLOC or s["size"] == 0:
            continue
        name = s["name"]
        if s["type"] in (SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY) or \
                name.startswith((".init_array", ".fini_array", ".ctors", ".dtors")):
            complain("constructor or destructor in section %s: %s" % (name, elf.names_in(s)))
        elif s["flags"] & SHF_TLS:
            complain("thread-local variable in section %s: %s" % (name, elf.names_in(s)))
        elif s["flags"] & SHF_WRITE or s["type"] == SHT_NOBITS:
            complain("writable section %s: %s" % (name, elf.names_in(s)))
        elif s["flags"] & SHF_EXEC and name != ".text":
            complain("code in section %s: %s" % (name, elf.names_in(s)))
        elif name not in ALLOWED:
            complain("section %s is not part of a module: %s" % (name, elf.names_in(s)))
    for sym in elf.symbols:
        if sym["shndx"] == SHN_COMMON:
            complain("writable common variable: %s" % sym["name"])
        if sym["type"] == 10:
            complain("indirect function: %s" % sym["name"])


def check_code_addresses(elf, complain):
    for s in elf.sections:
        if not s["flags"] & SHF_ALLOC or s["flags"] & SHF_EXEC or s["name"] == ".kabi.vtable":
            continue
        for offset, sym, addend in elf.relocations(s):
            target = elf.sections[sym["shndx"]] if sym["shndx"] < len(elf.sections) else None
            code = sym["type"] == 2 or (target and target["flags"] & SHF_EXEC)
            if sym["shndx"] == SHN_UNDEF and sym["type"] in (0, 2):
                code = code or "maybe"
            if code:
                where = sym["name"] or elf.symbol_at(target, sym["value"] + (addend or 0))
                complain("data holds a code address: %s refers to %s (only a vtable may)" %
                         (elf.symbol_at(s, offset), where))


def check_undefined(elf, kind, instrumented, kernel, complain):
    for sym in elf.symbols[1:]:
        if sym["shndx"] != SHN_UNDEF or not sym["name"]:
            continue
        if instrumented and sym["name"].startswith(INSTRUMENTATION):
            continue
        if kind not in MAY_USE_CORE:
            complain("undefined symbol %s: a %s sees nothing but its contracts" %
                     (sym["name"], kind))
        elif kernel is not None and sym["name"] not in kernel:
            complain("undefined symbol %s: core has no such symbol" % sym["name"])


def check_notes(elf, kind, complain):
    module, vtables, at = None, 0, 0
    raw = b"".join(elf.content(s) for s in elf.sections if s["name"] == ".note.kabi")
    while at + 20 <= len(raw):
        name_size, desc_size, note_type = struct.unpack_from(elf.order + "III", raw, at)
        if name_size != 8 or raw[at + 12:at + 18] != b"UmkaOS" or at + 20 + desc_size > len(raw):
            complain("malformed note in .note.kabi")
            return
        if note_type == 1:
            module = struct.unpack_from(elf.order + "III", raw, at + 20)
        vtables += note_type == 2
        at += 20 + (desc_size + 3 & ~3)
    if module is None:
        complain("no KABI_MODULE(version, licence) in the module")
    elif module[1] >= len(KINDS) or KINDS[module[1]] != kind:
        complain("built as kind %d, not as %s" % (module[1], kind))
    if vtables == 0:
        complain("no KABI_IMPLEMENT in the module")


def check(data, kind, instrumented=False, kernel=None):
    """List of complaints about a module."""
    complaints = []
    try:
        elf = Elf(data)
        check_sections(elf, complaints.append)
        check_code_addresses(elf, complaints.append)
        check_undefined(elf, kind, instrumented, kernel, complaints.append)
        check_notes(elf, kind, complaints.append)
    except (ValueError, IndexError, struct.error) as error:
        complaints.append("malformed: %s" % error)
    return complaints


def core_symbol_errors(data, nm_lines):
    """What a module wants of core that core does not have, or has twice (a static function of the same name: hidden symbols
    are local in the linked kernel, so the loader could not tell them apart)."""
    found = {}
    for line in nm_lines:
        fields = line.split()
        if len(fields) == 3:
            found.setdefault(fields[2], set()).add(fields[0])
    for symbol in Elf(data).symbols[1:]:
        name = symbol["name"]
        if symbol["shndx"] != SHN_UNDEF or not name:
            continue
        if name not in found:
            yield "undefined symbol %s: core has no such symbol" % name
        elif len(found[name]) > 1:
            yield "ambiguous symbol %s: core has %d, rename the static ones" % (name, len(found[name]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--instrumented", action="store_true",
                        help="a sanitizer build: its run-time symbols may stay undefined")
    parser.add_argument("--kernel-symbols", help="output of nm on the kernel: check against it")
    parser.add_argument("module")
    args = parser.parse_args()
    kernel = None
    if args.kernel_symbols:
        with open(args.kernel_symbols, encoding="utf-8") as f:
            kernel = {line.split()[-1] for line in f if line.split()}
    with open(args.module, "rb") as f:
        complaints = check(f.read(), args.kind, args.instrumented, kernel)
    for text in dict.fromkeys(complaints):
        print("%s: error: %s" % (args.module, text), file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
