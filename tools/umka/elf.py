"""The little of ELF that packing a root file system needs: NEEDED names and .modinfo fields."""

import struct

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB = 1, 5


def needed(data):
    """Names of the shared libraries that a 64-bit little-endian ELF file asks for."""
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    heads = [struct.unpack_from("<IIQQQQQQ", data, phoff + i * size) for i in range(count)]
    loads = [(h[3], h[2], h[5]) for h in heads if h[0] == PT_LOAD]

    def file_offset(address):
        for vaddr, offset, length in loads:
            if vaddr <= address < vaddr + length:
                return address - vaddr + offset
        raise ValueError("address outside the file")

    names, strtab = [], None
    for head in heads:
        if head[0] != PT_DYNAMIC:
            continue
        for i in range(head[5] // 16):
            tag, value = struct.unpack_from("<QQ", data, head[2] + i * 16)
            if tag == DT_NEEDED:
                names.append(value)
            elif tag == DT_STRTAB:
                strtab = file_offset(value)
    if strtab is None:
        return []
    return [data[strtab + n:data.index(b"\0", strtab + n)].decode() for n in names]


def modinfo(data):
    """key -> value of a kernel module's .modinfo (repeated keys keep the last)."""
    shoff, = struct.unpack_from("<Q", data, 40)
    size, count, strndx = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * size) for i in range(count)]
    names = heads[strndx][4]
    for head in heads:
        at = names + head[0]
        if data[at:data.index(b"\0", at)] == b".modinfo":
            text = data[head[4]:head[4] + head[5]].split(b"\0")
            return dict(item.decode().split("=", 1) for item in text if b"=" in item)
    return {}
