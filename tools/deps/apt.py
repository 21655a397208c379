"""A private apt root in the cache folder.

Other suites and architectures than the machine's own are read through it, so that the user's
apt sources, lists and package state are never touched. Mirrors are those of the machine's own
sources: no host name stands in the tree. Signatures are checked with the Debian archive keyring.
"""

import os
import pathlib
import re

from umka.common import Failure, file_lock, note, run

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEB_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7": "armhf", "riscv64": "riscv64",
            "ppc64le": "ppc64el", "s390x": "s390x"}


def os_release():
    values = {}
    for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        values[key] = value.strip('"')
    return values


def host_suite():
    """The Debian release we stand on: 'bookworm' or 'trixie'."""
    suite = os_release().get("VERSION_CODENAME", "")
    if suite not in ("bookworm", "trixie"):
        raise Failure(f"this needs Debian 12 or 13, /etc/os-release says '{suite}'")
    return suite


def _deb822_entries(text):
    for block in re.split(r"\n\s*\n", text):
        fields = {}
        key = None
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t" and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.lower()
                fields[key] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            for uri in fields.get("uris", "").split():
                yield uri, fields.get("suites", "").split(), fields.get("components", "").split()


def _one_line_entries(text):
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.strip())
        if match:
            yield match[1], [match[2]], match[3].split()


def mirrors():
    """Every URI of the machine's own sources that serves this Debian release, main archive first."""
    suite = host_suite()
    entries = []
    etc = pathlib.Path("/etc/apt")
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            entries += _deb822_entries(text)
        elif path.suffix == ".list":
            entries += _one_line_entries(text)
    release = {suite, "stable", "oldstable"}
    found = [uri for uri, suites, comps in entries if release & set(suites) and "main" in comps]
    if not found:
        raise Failure(f"no source in /etc/apt serves Debian {suite} main; "
                      "the mirror for other suites is taken from there")
    return list(dict.fromkeys(found))


class Root:
    """apt with its own state, lists and cache, for one suite set and one architecture."""

    def __init__(self, cache, suites, deb_arch):
        self.suites = suites
        self.arch = deb_arch
        self.path = cache / "apt" / f"{'+'.join(suites)}-{deb_arch}"

    def _configure(self):
        """Writes the root's own configuration; only the machine's Acquire settings (proxies) carry over."""
        root = self.path
        for sub in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d",
                    "etc/apt.conf.d", "etc/sources.list.d", "log"):
            (root / sub).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        pairs = {
            "Dir": f"{root}/", "Dir::State": f"{root}/state", "Dir::Cache": f"{root}/cache",
            "Dir::Etc": f"{root}/etc", "Dir::Etc::Parts": f"{root}/etc/apt.conf.d",
            "Dir::State::status": f"{root}/status", "Dir::Log": f"{root}/log",
            "APT::Architecture": self.arch, "APT::Architectures": self.arch,
            "APT::Install-Recommends": "false", "APT::Get::List-Cleanup": "false",
            "Acquire::Languages": "none", "Acquire::Retries": "3",
        }
        if os.geteuid() == 0:
            pairs["APT::Sandbox::User"] = "root"  # _apt may not read a cache below /root
        acquire = [line for line in run(["apt-config", "dump"], "reading apt's settings").splitlines()
                   if line.startswith("Acquire::") and "::Languages" not in line
                   and not line.endswith('""; ')]
        lines = acquire + [f'{key} "{value}";' for key, value in pairs.items()]
        (root / "apt.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        uri = mirrors()[0]
        lines = [f"{kind} [signed-by={KEYRING}] {uri} {suite} main\n"
                 for suite in self.suites for kind in ("deb", "deb-src")]
        (root / "etc/sources.list").write_text("".join(lines), encoding="utf-8")
        pins = "".join(f"Package: qemu-* seabios\nPin: release n={s}\nPin-Priority: 990\n\n"
                       for s in self.suites if s.endswith("-backports"))
        (root / "etc/preferences.d/backports").write_text(pins, encoding="utf-8")

    def _apt(self, argv, what, cwd=None):
        env = dict(os.environ, APT_CONFIG=str(self.path / "apt.conf"), LC_ALL="C.UTF-8")
        return run(argv, what, cwd=cwd, env=env)

    def update(self):
        self._configure()
        # Without the option a machine without a network is a success, and no package is known after it.
        what = f"fetching the package index of {'+'.join(self.suites)} from {mirrors()[0]}"
        self._apt(["apt-get", "--error-on=any", "update"], what)

    def _lists_fresh(self):
        return any((self.path / "state/lists").glob("*Packages*"))

    def download(self, packages, closure, retry=True):
        """Fetches .deb files: {package name: (version, path)}."""
        with file_lock(self.path / "lock", f"packages of {'+'.join(self.suites)}"):
            if not self._lists_fresh():
                self.update()
            try:
                return self._download(packages, closure)
            except Failure:
                if not retry:
                    raise
                note(f"refreshing the package index of {'+'.join(self.suites)}")
                self.update()
                return self._download(packages, closure)

    def _download(self, packages, closure):
        where = self.path / "cache/archives"
        if closure:
            plan = self._apt(["apt-get", "-s", "install", *packages],
                             f"resolving {' '.join(packages)}")
            self._apt(["apt-get", "-y", "--download-only", "install", *packages],
                      f"downloading {' '.join(packages)}")
            names = [f"{name}_{version.replace(':', '%3a')}_{arch}.deb" for name, version, arch in
                     re.findall(r"^Inst (\S+) \((\S+) [^\[]*\[(\w+)\]\)", plan, re.M)]
        else:
            names = [self._archive_name(package) for package in packages]
            self._apt(["apt-get", "download", *packages],
                      f"downloading {' '.join(packages)}", cwd=where)
        files = [where / name for name in names]
        found = {}
        for path in files:
            package, version, _ = path.name[:-4].split("_", 2)
            found[package] = (version.replace("%3a", ":"), path)
        missing = [p for p in packages if p not in found]
        if missing:
            raise Failure(f"the archive did not give {' '.join(missing)}")
        return found

    def _archive_name(self, package):
        """The file name that `apt-get download` gives to the candidate of a package."""
        text = self._apt(["apt-cache", "show", "--no-all-versions", package],
                         f"resolving {package}")
        field = dict(re.findall(r"^(Package|Version|Architecture): (\S+)", text, re.M))
        version = field["Version"].replace(":", "%3a")
        return f"{package}_{version}_{field['Architecture']}.deb"

    def source_tarball(self, source):
        """(Debian version, upstream tarball) of a source package.

        Only the tarball is asked for: the other parts of old source packages are often gone
        from mirrors, and they are not used.
        """
        where = self.path / "cache/sources"
        where.mkdir(parents=True, exist_ok=True)
        with file_lock(self.path / "lock", f"packages of {'+'.join(self.suites)}"):
            if not self._lists_fresh():
                self.update()
            text = self._apt(["apt-cache", "showsrc", "--only-source", source],
                             f"resolving the source of {source}")
            self._apt(["apt-get", "--download-only", "--tar-only", "source", source],
                      f"downloading the source of {source}", cwd=where)
        name = re.search(r"^ \S+ \d+ (\S+\.orig\.tar\.\w+)$", text, re.M)
        version = re.search(r"^Version: (\S+)", text, re.M)
        if not (name and version):
            raise Failure(f"no upstream tarball of {source} in {'+'.join(self.suites)}")
        return version[1], where / name[1]

    def resolve(self, package):
        """The real package behind a metapackage (linux-image-amd64 -> linux-image-6.12.N-amd64)."""
        with file_lock(self.path / "lock", f"packages of {'+'.join(self.suites)}"):
            if not self._lists_fresh():
                self.update()
            text = self._apt(["apt-cache", "depends", package],
                             f"looking up {package}")
        return re.findall(r"^\s*\|?Depends: (\S+)", text, re.M)


def upstream(version):
    """'1:10.0.2+ds-2+deb13u1~bpo12+1' -> '10.0.2'."""
    plain = version.partition(":")[2] or version
    plain = plain.rpartition("-")[0] or plain
    return re.split(r"[+~]", plain)[0]


def unpack(deb, where):
    where.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "-x", deb, where], f"unpacking {os.path.basename(deb)}")
