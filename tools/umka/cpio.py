"""Writes cpio archives ("newc") without root: owners, modes and device nodes are what we say."""

import os
import stat


class Writer:
    """One archive, written to a binary file as entries are added."""

    def __init__(self, out):
        self.out = out
        self.ino = 0
        self.dirs = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0), nlink=1):
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = (self.ino, mode, 0, 0, nlink, 0, len(data), 0, 0, *rdev, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.out.write(head + b"\0" * (-len(head) % 4))
        self.out.write(data)
        self.out.write(b"\0" * (-len(data) % 4))

    def parents(self, name):
        for i, char in enumerate(name):
            if char == "/":
                self.directory(name[:i])

    def directory(self, name, mode=0o755):
        if name and name not in self.dirs:
            self.parents(name)
            self.dirs.add(name)
            self._entry(name, stat.S_IFDIR | mode, nlink=2)

    def file(self, name, data, mode=0o644):
        self.parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        self.parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, kind, major, minor, mode):
        self.parents(name)
        self._entry(name, kind | mode, rdev=(major, minor))

    def tree(self, top, prefix=""):
        """Everything below a folder, symbolic links as links; sockets and devices are left out."""
        for base, dirs, files in os.walk(top):
            dirs.sort()
            where = os.path.relpath(base, top)
            where = prefix if where == "." else os.path.join(prefix, where)
            if where:
                self.directory(where, stat.S_IMODE(os.lstat(base).st_mode))
            for name in [d for d in dirs if os.path.islink(os.path.join(base, d))] + sorted(files):
                path = os.path.join(base, name)
                info = os.lstat(path)
                inside = os.path.join(where, name)
                if stat.S_ISLNK(info.st_mode):
                    self.symlink(inside, os.readlink(path))
                elif stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as handle:
                        self.file(inside, handle.read(), stat.S_IMODE(info.st_mode))

    def close(self):
        self._entry("TRAILER!!!", 0)
        self.out.write(b"\0" * (-self.out.tell() % 512))


def unpack(path, folder):
    """Unpacks archives that Writer made, one after another in a file, without their device nodes."""
    with open(path, "rb") as handle:
        data = handle.read()
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 4 - at % 4 if at % 4 else 4
            continue
        head = data[at:at + 110]
        mode, size, name_size = (int(head[i:i + 8], 16) for i in (14, 54, 94))
        name = data[at + 110:at + 110 + name_size - 1].decode()
        start = at + (110 + name_size + 3) // 4 * 4
        at = start + (size + 3) // 4 * 4
        where = os.path.join(folder, name)
        if stat.S_ISDIR(mode):
            os.makedirs(where, exist_ok=True)
            os.chmod(where, stat.S_IMODE(mode))
        elif stat.S_ISLNK(mode):
            os.symlink(data[start:start + size].decode(), where)
        elif stat.S_ISREG(mode) and name != "TRAILER!!!":
            with open(where, "wb") as out:
                out.write(data[start:start + size])
            os.chmod(where, stat.S_IMODE(mode))
