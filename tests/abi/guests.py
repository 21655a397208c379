"""Runs the cases of the ABI suite in guests and reads what the runner prints there."""

import hashlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile

import abilib

ROOT = os.path.dirname(os.path.dirname(abilib.HERE))
UMKA = os.environ.get("UMKA", os.path.join(ROOT, "umka"))
OUT = os.environ.get("UMKA_OUT", os.path.join(ROOT, "build", "abi"))
# A guest that died is started again for what is left, at most so often.
MOST_GUESTS = 12
# Emulated, with sanitizers: what takes a second on hardware may take a minute.
CASE_SECONDS = {"release": 30, "debug": 60, "asan": 120, None: 30}


def commit_number():
    """A number that changes with the commit: configurations and the tenth rotate by it."""
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True,
                          check=False)
    return int(done.stdout[:8] or "0", 16)


def draw(seed, name):
    """A number out of seed and name, the same everywhere."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big")


def build(arch):
    """The runner for one architecture, stripped, in a folder of its own."""
    out = os.path.join(OUT, "runner-" + arch)
    subprocess.run([os.path.join(abilib.HERE, "build.sh"), out, arch], check=True,
                   stdout=sys.stderr)
    return os.path.join(out, "abi-runner")


def build_kernel(machine):
    """Our kernel for a machine, so that no guest's silence is a build's."""
    subprocess.run([UMKA, "build", "--yes", "--arch", machine.arch, "--build", machine.kind], check=True,
                   stdout=sys.stderr)


class Machine:
    """What one guest is: kernel, architecture, build (None: Linux), CPUs, more command line, memory."""

    def __init__(self, kernel, arch="x86_64", kind=None, cpus=4, append="", memory=""):
        self.kernel, self.arch, self.kind, self.cpus, self.append = kernel, arch, kind, cpus, append
        self.memory = memory

    def __str__(self):
        words = [self.arch, self.kind or self.kernel, f"{self.cpus} cpus", self.memory, self.append]
        return " ".join(word for word in words if word)

    def label(self):
        return re.sub(r"[^a-z0-9_]+", "-", f"{self.kernel} {self}")


def make_disk(path):
    """An ext4 image without a journal, as docs and platforms ask before journals are written."""
    with open(path, "wb") as image:
        image.truncate(64 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal,^orphan_file",
                    path], check=True, stdout=sys.stderr,
                   env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})


def check_disk(path):
    """What e2fsck finds on it: an empty text when it is clean."""
    done = subprocess.run(["e2fsck", "-fn", path], capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line and line != "Fix? no"]
    return "" if done.returncode == 0 else "\n".join(lines[:20] + [f"({len(lines)} lines)"])


def _boot(machine, overlay, disk, command, seconds, quiet):
    """One guest; its output as text, what it said on stderr, and its exit status."""
    words = [UMKA, "run", "--kernel", machine.kernel, "--arch", machine.arch, "--cpus", str(machine.cpus),
             "--overlay", overlay, "--timeout", str(seconds), "--boot-timeout", "300", "--drive", disk,
             "--append", machine.append]
    if machine.kind:
        words += ["--build", machine.kind]
    if machine.memory:
        words += ["--memory", machine.memory]
    with tempfile.TemporaryFile() as errors:
        guest = subprocess.Popen(words + ["--"] + command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=errors, start_new_session=True)
        text, note = _read_while_it_speaks(guest, quiet)
        status = guest.wait()
        errors.seek(0)
        return text, errors.read().decode(errors="replace") + note, status


def _read_while_it_speaks(guest, quiet):
    """What the guest prints until it ends, or says nothing for so many seconds: then it hangs."""
    text, waiting = b"", selectors.DefaultSelector()
    waiting.register(guest.stdout, selectors.EVENT_READ)
    while True:
        if not waiting.select(quiet):
            os.killpg(guest.pid, signal.SIGTERM)
            return text.decode(errors="replace"), f"\nthe guest said nothing for {quiet} s"
        chunk = os.read(guest.stdout.fileno(), 65536)
        if not chunk:
            return text.decode(errors="replace"), ""
        text += chunk


def _overlay(runner, names):
    folder = tempfile.mkdtemp(prefix="abi-")
    subprocess.run(["llvm-strip-19", "-o", os.path.join(folder, "abi-runner"), runner], check=False)
    if not os.path.exists(os.path.join(folder, "abi-runner")):
        shutil.copy(runner, folder)
    os.chmod(os.path.join(folder, "abi-runner"), 0o755)
    with open(os.path.join(folder, "cases"), "w", encoding="utf-8") as out:
        out.write("\n".join(names) + "\n")
    return folder


def _read(text):
    """(case -> (verdict, why), the case that was running at the end or None)."""
    results, notes, running = {}, [], None
    for line in text.splitlines():
        line = line.rstrip("\r")
        if match := re.match(r"# run (\S+)", line):
            running, notes = match[1], []
        elif match := re.match(r"(not )?ok \d+ - (\S+)( # SKIP)?", line):
            verdict = "fail" if match[1] else "skip" if match[3] else "pass"
            results[match[2]] = (verdict, "\n".join(notes))
            running = None
        elif running and line.strip():
            notes.append(line.removeprefix("# "))
    return results, running


def _command(limit, on_disk, more=""):
    runner = f"ABI_DISK=/dev/vda /overlay/abi-runner --timeout {limit} --file /overlay/cases {more}"
    if on_disk:
        return ["sh", "-c", f"mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && {runner} --tmp /mnt; "
                            "s=$?; cd / && umount /mnt || exit 99; exit $s"]
    return ["sh", "-c", runner]


def run_cases(machine, names, on_disk=False):
    """Runs the cases in as many guests as it takes; on_disk: their directories are on ext4. The
    result of the pseudo case "disk" is what e2fsck says of the disk afterwards."""
    runner = build(machine.arch)
    left, results, limit = list(names), {}, CASE_SECONDS[machine.kind]
    for attempt in range(MOST_GUESTS):
        if not left:
            break
        folder = _overlay(runner, left)
        os.makedirs(OUT, exist_ok=True)
        label = f"{machine.label()}{'-disk' if on_disk else ''}-{attempt}"
        disk = os.path.join(OUT, label + ".ext4")
        make_disk(disk)
        try:
            text, errors, status = _boot(machine, folder, disk, _command(limit, on_disk),
                                         120 + 4 * limit + 3 * len(left), 2 * limit + 60)
            complaints = check_disk(disk)
        finally:
            shutil.rmtree(folder)
            os.unlink(disk)
        with open(os.path.join(OUT, label + ".log"), "w", encoding="utf-8") as log:
            log.write(text + "\n--- stderr, status " + str(status) + "\n" + errors)
        got, running = _read(text)
        if running:
            last = "\n".join(errors.strip().splitlines()[-20:])
            got[running] = ("fail", f"the guest ended in this case (status {status})\n{last}")
        if not got:
            print(f"# {label}: no case ran, status {status}: {errors.strip()[-800:]!r}")
            break
        if not running:
            got["disk"] = ("fail" if complaints else "pass", complaints)
        results.update(got)
        left = [name for name in left if name not in results]
    return results


def check_masks(names):
    """The masks on Linux: (text, good) for each case and each call that it names."""
    if not names:
        return
    folder = _overlay(build("x86_64"), names)
    try:
        disk = os.path.join(OUT, "masks.ext4")
        make_disk(disk)
        text, errors, status = _boot(Machine("linux", cpus=2), folder, disk,
                                     _command(10, False, "--check-masks"), 1200, 240)
        os.unlink(disk)
    finally:
        shutil.rmtree(folder)
    found = False
    for match in re.finditer(r"^(not )?ok \d+ - (.*?)\r?$", text, re.M):
        found = True
        yield match[2], not match[1]
    if not found:
        yield f"the masks (status {status}: {errors.strip()[-400:]})", False


def print_coverage(title, passed):
    """How many pairs and calls the passing cases cover, as measuring.md counts."""
    cases = abilib.read_cases()
    pairs = {pair for name in passed if cases[name].both for pair in cases[name].pairs}
    calls = {pair.split(":", 1)[0] for pair in pairs}
    print(f"# {title}{len(passed)} cases passed, {len(pairs)} distinct pairs, {len(calls)} distinct calls")
