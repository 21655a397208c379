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
