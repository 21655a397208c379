"""Boots one guest and carries bytes between it and the user.

Two ways: a shell on the terminal, or CMD with its output on stdout and its exit status handed
back. In both, what the kernel prints goes to a log file.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import re
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty

from image import grubdisk
from umka import cpio, guestinit, machine, rootfs
from umka.common import EXIT_MACHINE, EXIT_USAGE, ROOT, Failure, die_with_parent, note
from umka.guest_stream import BOOTING, ENDED, REFUSED, RUNNING, Splitter

BOOT_SECONDS = 180          # from power-on to the start of CMD or shell
POWER_OFF_SECONDS = 20      # from CMD's end to the machine's end
TAIL_LINES = 25
PIPE_BYTES = 1 << 20          # what any user may have
LOGS_KEPT = 40
CAUSE = re.compile(r"[Kk]ernel panic|panic:|\bBUG:|Oops:|KASAN:|UBSAN:|[Aa]ssertion failed")
ESCAPE = 0x01               # Ctrl-A, as QEMU's own console has it


@dataclasses.dataclass
class Guest:
    """One run: everything that decides what is booted and what it does."""

    arch: str
    kernel: pathlib.Path
    initrds: list
    cpus: int = 1
    memory_mib: int = 512
    disks: list = dataclasses.field(default_factory=list)
    root_device: str = ""
    root_type: str = ""
    overlay: pathlib.Path | None = None
    network: bool = False
    append: str = ""
    command: list = dataclasses.field(default_factory=list)
    timeout: float | None = None
    boot_timeout: float = BOOT_SECONDS
    log: pathlib.Path | None = None
    extra: list = dataclasses.field(default_factory=list)
    show_boot: bool = False
    firmware: str = ""          # "": QEMU's -kernel; "bios", "uefi": GRUB from a disk image
    no_initrd: bool = False     # what an initrd would hold is a disk that the kernel mounts itself
    raw_initrd: pathlib.Path | None = None      # instead of all archives: what a test wants to break
    compression: str = ""       # of the whole initrd: "", "gzip", "xz", "zstd"
    console: str = "serial"     # or "hvc": a virtio console
    entropy: bool = True        # a virtio entropy device
    stop: threading.Event | None = None         # set by another thread: the guest is ended


def _new_log(wanted):
    if wanted:
        return pathlib.Path(wanted)
    folder = ROOT / "build" / "log"
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob("run-*.log"))
    for path in old[:max(0, len(old) - LOGS_KEPT)]:
        path.unlink(missing_ok=True)
    name = folder / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    link = folder / f".last-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(name.name)
    link.rename(folder / "last")
    return name


def _config(guest, nonce):
    """The NUL-terminated strings that guest/init.c reads."""
    pairs = {"nonce": nonce, "root": guest.root_device, "rootfstype": guest.root_type,
             "tty": machine.console(guest.arch, guest.console), "remount": "1" if guest.no_initrd else ""}
    if not guest.command:
        size = shutil.get_terminal_size((80, 24))
        pairs |= {"rows": str(size.lines), "cols": str(size.columns),
                  "term": os.environ.get("TERM", "vt220")}
    words = [f"{key}={value}" for key, value in pairs.items()] + ["argv", *guest.command]
    return b"".join(w.encode(errors="surrogateescape") + b"\0" for w in words)


def _initrd(guest, nonce, path):
    """One file of several archives: what is cached, then what belongs to this run."""
    with open(path, "wb") as out:
        for part in guest.initrds:
            with open(part, "rb") as handle:
                shutil.copyfileobj(handle, out, 1 << 20)
            out.write(b"\0" * (-out.tell() % 512))
        archive = cpio.Writer(out)
        archive.file("init", guestinit.build(guest.arch).read_bytes(), 0o755)
        archive.file("umka/config", _config(guest, nonce))
        if guest.overlay:
            archive.directory("overlay")
            archive.tree(guest.overlay, "overlay")
        archive.close()


# xz with the one check that kernels have.
COMPRESSORS = {"gzip": ["gzip", "-1"], "xz": ["xz", "-0", "--check=crc32"], "zstd": ["zstd", "-q", "-3"]}


def _compress(method, path):
    if not method:
        return
    if method not in COMPRESSORS:
        raise Failure(f"there is no compression '{method}': {' '.join(COMPRESSORS)}", EXIT_USAGE)
    packed = path.with_suffix(".packed")
    with open(path, "rb") as source, open(packed, "wb") as out:
        subprocess.run([*COMPRESSORS[method], "-c"], stdin=source, stdout=out, check=True)
    packed.rename(path)


def _disk_of_initrd(scratch):
    tree, image = scratch / "tree", scratch / "root.ext4"
    tree.mkdir()
    cpio.unpack(scratch / "initrd", tree)
    rootfs.make_ext4(tree, image, 256)
    shutil.rmtree(tree)
    return image


def _argv(guest, scratch):
    argv, env = machine.base(guest.arch, guest.cpus, guest.memory_mib)
    argv += machine.terminal(guest.console, scratch / "early")
    argv += machine.entropy() if guest.entropy else []
    append = f"console={machine.console(guest.arch, guest.console)} panic=-1 {guest.append}".strip()
    disks = list(guest.disks)
    if guest.no_initrd:
        disks.insert(0, machine.Disk(str(_disk_of_initrd(scratch))))
        append += " root=/dev/vda rootfstype=ext4 rootwait rw init=/init"
        argv += ["-kernel", str(guest.kernel), "-append", append]
    elif guest.firmware:
        if guest.arch != "x86_64":
            raise Failure("--firmware: Debian's GRUB for other machines than x86_64 does not install here",
                          EXIT_USAGE)
        image = scratch / "grub.img"
        grubdisk.make(image, guest.kernel, scratch / "initrd", append, scratch)
        # Last of the disks by name, first by boot order, so that the root stays /dev/vda.
        disks.append(machine.Disk(str(image), boot=True))
        argv += machine.firmware(guest.firmware, scratch)
    else:
        argv += ["-kernel", str(guest.kernel), "-initrd", str(scratch / "initrd"), "-append", append]
    argv += machine.disks(disks)
    argv += machine.network() if guest.network else ["-nic", "none"]
    argv += machine.monitor(scratch / "monitor")
    return argv + guest.extra, env


class _Run:
    """The loop around one QEMU process."""

    def __init__(self, guest, process, splitter, monitor):
        self.guest = guest
        self.process = process
        self.splitter = splitter
        self.monitor = monitor
        self.started = time.monotonic()
        self.state_since = self.started
        self.last_state = BOOTING
        self.input_open = not guest.command
        self.escaped = False

    def _limit(self):
        """(seconds left in the present state, what it means to run out of them)."""
        state = self.splitter.state
        if state != self.last_state:
            self.last_state, self.state_since = state, time.monotonic()
        passed = time.monotonic() - self.state_since
        if state == BOOTING:
            return self.guest.boot_timeout - passed, "did not reach its init's start in time"
        if state == RUNNING:
            if self.guest.timeout is None:
                return None, ""
            return self.guest.timeout - passed, f"did not end CMD within {self.guest.timeout:g} s"
        return POWER_OFF_SECONDS - passed, "did not power off"

    def loop(self):
        """Runs until the guest is gone; answers None, or what went wrong."""
        selector = selectors.DefaultSelector()
        selector.register(self.process.stdout, selectors.EVENT_READ, "guest")
        listening = False
        while True:
            if self.guest.stop and self.guest.stop.is_set():
                return "was stopped"
            left, meaning = self._limit()
            if left is None and self.guest.stop:
                left = 1.0      # to look again
            if left is not None and left <= 0:
                return meaning
            if self.input_open and not listening and self.splitter.state == RUNNING:
                with contextlib.suppress(PermissionError):  # a regular file as stdin is not pollable
                    selector.register(0, selectors.EVENT_READ, "user")
                    listening = True
                if not listening:
                    self._pour_in()
            for key, _ in selector.select(None if left is None else min(left, 1.0)):
                if key.data == "user":
                    if not self._user():
                        selector.unregister(0)
                    continue
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    self.process.wait()
                    return None
                self.splitter.feed(data)

    def _send(self, data):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def _pour_in(self):
        self._send(sys.stdin.buffer.read() + b"\x04")
        self.input_open = False

    def _user(self):
        """Passes typed bytes on; Ctrl-A x ends the guest, Ctrl-A Ctrl-A is one Ctrl-A."""
        data = os.read(0, 4096)
        if not data:
            self._send(b"\x04")
            self.input_open = False
            return False
        if not os.isatty(0):
            self._send(data)
            return True
        out = bytearray()
        for byte in data:
            if self.escaped:
                self.escaped = False
                if byte in b"xX":
                    self.process.kill()
                elif byte == ESCAPE:
                    out.append(byte)
            elif byte == ESCAPE:
                self.escaped = True
            else:
                out.append(byte)
        self._send(bytes(out))
        return True


REGISTERS_SHOWN = ("CPU#", "RIP=", "EIP=", " PC=", "PC=", "RSP=", "CR2", "CR0")


def _registers(path):
    """Where the processors of a hung guest stand, asked of QEMU's monitor; best effort."""
    text = b""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
        link.settimeout(1)
        link.connect(str(path))
        link.sendall(b"info registers -a\n")
        while chunk := link.recv(65536):
            text += chunk
    lines = text.decode(errors="replace").replace("\r", "").splitlines()
    return [line.strip() for line in lines if line.startswith(REGISTERS_SHOWN)]


def _with_names(lines, elf, log):
    """Adds function and line to program counters, for a kernel of ours that told its slide."""
    slide = re.search(rb"slide (0x[0-9a-f]+)", log)
    if not elf.exists() or not slide:
        return lines
    named = []
    for line in lines:
        named.append(line)
        if counter := re.match(r"(?:RIP|PC)=([0-9a-f]{16})", line):
            address = (int(counter[1], 16) - int(slide[1], 16)) % (1 << 64)
            done = subprocess.run(["llvm-symbolizer-19", "-s", f"--obj={elf}", hex(address)], text=True,
                                  capture_output=True, check=False)
            named += ["  " + text for text in done.stdout.splitlines() if text.strip() and "??" not in text]
    return named


@contextlib.contextmanager
def _raw_terminal(wanted):
    if not (wanted and os.isatty(0)):
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _explain(what, log_path, tail, registers):
    lines = tail.decode(errors="replace").replace("\r", "").splitlines()
    # A cause that the kernel named tells more than the last lines, which are often registers.
    cause = next((i for i, line in enumerate(lines) if CAUSE.search(line)), None)
    shown = "its last lines:\n" if cause is None else "what it said:\n"
    lines = lines[-TAIL_LINES:] if cause is None else lines[max(cause - 3, 0):cause + 2 * TAIL_LINES]
    text = f"the guest {what}; {shown}"
    text += "\n".join("  | " + line for line in lines) or "  | (it printed nothing)"
    if registers:
        text += "\nprocessors:\n" + "\n".join("  " + line for line in registers)
    return Failure(f"{text}\nkernel log: {log_path}", EXIT_MACHINE)


def boot(guest, output=None):
    """Runs a guest to its end: the exit status of CMD or shell. Raises Failure for anything else.

    output: called with CMD's bytes; stdout when it is None.
    """
    nonce = secrets.token_hex(8)
    tail = bytearray()
    log_path = _new_log(guest.log)
    out = output or _stdout

    def remember(data):
        tail.extend(data)
        del tail[:-16384]

    with tempfile.TemporaryDirectory(prefix="umka-") as scratch_name, open(log_path, "wb") as log:
        scratch = pathlib.Path(scratch_name)

        def to_log(data):
            log.write(data)
            log.flush()
            remember(data)
            if guest.show_boot:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()

        def to_user(data):
            remember(data)
            out(data)

        if guest.raw_initrd:
            shutil.copy(guest.raw_initrd, scratch / "initrd")
        else:
            _initrd(guest, nonce, scratch / "initrd")
        _compress(guest.compression, scratch / "initrd")
        argv, env = _argv(guest, scratch)
        splitter = Splitter(nonce, to_user, to_log, translate=bool(guest.command))
        with _raw_terminal(not guest.command):
            process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=open(scratch / "errors", "wb"),
                                       preexec_fn=die_with_parent, bufsize=0,
                                       process_group=0)     # a Ctrl-C is for us, or for gdb
            # QEMU drops what a full pipe does not take of a virtio console (virtio-console.c).
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            registers = []
            try:
                run = _Run(guest, process, splitter, scratch / "monitor")
                trouble = run.loop()
                if trouble:
                    registers = _with_names(_registers(scratch / "monitor"),
                                            guest.kernel.parent / "umka.elf", log_path.read_bytes())
            finally:
                process.kill()
                process.wait()
        errors = (scratch / "errors").read_text(errors="replace").strip()
        if (scratch / "early").exists() and not tail:   # it did not come as far as its console
            to_log((scratch / "early").read_bytes())
    return _verdict(guest, splitter, trouble, errors, log_path, bytes(tail), registers)


def _stdout(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _verdict(guest, splitter, trouble, errors, log_path, tail, registers):
    if splitter.state == ENDED:
        if trouble:
            note(f"the guest {trouble} (kernel log: {log_path})")
        return splitter.status
    if splitter.state == REFUSED:
        raise _explain("could not enter its root file system", log_path, tail, registers)
    if trouble:
        raise _explain(trouble, log_path, tail, registers)
    if errors and not tail:
        raise Failure(f"QEMU: {errors}", EXIT_MACHINE)
    what = "ended before its init started" if splitter.state == BOOTING else \
        "ended while CMD ran" if guest.command else "ended while the shell ran"
    raise _explain(what, log_path, tail + errors.encode(), registers)
