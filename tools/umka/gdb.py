"""./umka gdb: the guest waits at its first instruction, gdb-multiarch is attached to it."""

import os
import signal
import subprocess
import tempfile
import threading

from umka import runner
from umka.common import EXIT_MACHINE, Failure, note


class _Boot(threading.Thread):
    """The guest, beside gdb."""

    def __init__(self, guest):
        super().__init__(daemon=True)
        self.guest = guest
        self.trouble = None

    def run(self):
        try:
            runner.boot(self.guest)
        except Failure as failure:
            self.trouble = failure

    def await_socket(self, path):
        for _ in range(100):
            if os.path.exists(path):
                return True
            self.join(0.1)
            if not self.is_alive():
                break
        return os.path.exists(path)


def debug(guest, folder):
    """Boots stopped, runs gdb on the terminal, ends the guest when gdb ends."""
    symbols = folder / "umka.elf"
    with tempfile.TemporaryDirectory(prefix="umka-gdb-") as scratch:
        socket = os.path.join(scratch, "gdb")
        guest.extra += ["-chardev", f"socket,id=gdb,path={socket},server=on,wait=off",
                        "-gdb", "chardev:gdb", "-S"]
        guest.boot_timeout = float("inf")
        guest.command = guest.command or ["sleep", "infinity"]  # the terminal is gdb's
        guest.append += " nokaslr"  # so that the addresses of the ELF file hold
        guest.stop = threading.Event()
        argv = ["gdb-multiarch", "-q", "-ex", f"target remote {socket}"]
        if guest.kernel.parent == folder and symbols.exists():
            argv.insert(1, str(symbols))
        boot = _Boot(guest)
        boot.start()
        try:
            if not boot.await_socket(socket):
                raise boot.trouble or Failure("QEMU does not open its socket for gdb", EXIT_MACHINE)
            # Ctrl-C at gdb's prompt stops the guest, not us; gdb takes the signal itself.
            signal.signal(signal.SIGINT, lambda *_: None)
            status = subprocess.run(argv, check=False).returncode
        finally:
            ended = not boot.is_alive()
            guest.stop.set()
            boot.join(10)
        if ended and boot.trouble:
            note(str(boot.trouble))
        return status
