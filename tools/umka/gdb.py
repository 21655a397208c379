"""./umka gdb: the guest waits at its first instruction, gdb-multiarch is attached to it."""

import os
import subprocess
import tempfile
import threading

from umka import runner
from umka.common import Failure


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
        argv = ["gdb-multiarch", "-q", "-ex", f"target remote {socket}"]
        if symbols.exists():
            argv.insert(1, str(symbols))
        done = threading.Event()

        def boot():
            try:
                runner.boot(guest)
            except Failure:
                pass
            done.set()

        thread = threading.Thread(target=boot, daemon=True)
        thread.start()
        for _ in range(100):
            if os.path.exists(socket) or done.wait(0.1):
                break
        return subprocess.run(argv, check=False).returncode
