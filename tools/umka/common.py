"""What every verb shares: failing readably, paths, running programs, locks."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Exit codes of ./umka itself. CMD's own status passes through `run`, so the failures that are
# ours stand where no program's usual status is (the convention of env(1) and chroot(1)).
EXIT_FAILED = 1      # a test or a build failed
EXIT_USAGE = 2       # the command line makes no sense
EXIT_MACHINE = 125   # the guest did not boot, died, or hung

ARCHES = ("x86_64", "aarch64", "armv7", "riscv64", "ppc32", "ppc64le", "s390x", "loongarch64")


class Failure(Exception):
    """An error that the user can act on: printed as it is, without a traceback."""

    def __init__(self, message, code=EXIT_FAILED):
        super().__init__(message)
        self.code = code


def note(message):
    """Says what is going on, on stderr, so that stdout stays CMD's."""
    print(f"umka: {message}", file=sys.stderr, flush=True)


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(base) / "umkaos"
    path.mkdir(parents=True, exist_ok=True)
    return path


def build_dir(arch, kind):
    return ROOT / "build" / f"{arch}-{kind}"


@contextlib.contextmanager
def file_lock(path, what):
    """Two ./umka at once must not fill the same cache entry."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"waiting for another umka that is preparing {what}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(argv, what, **kwargs):
    """Runs a program quietly; on failure shows its last lines and names the step."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **kwargs)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        tail = "\n".join(text.splitlines()[-25:])
        raise Failure(f"{what} failed (exit status {done.returncode}):\n"
                      f"  {' '.join(str(a) for a in argv)}\n{tail}")
    return text


def die_with_parent():
    """preexec_fn: a guest never outlives its runner, however that one ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def confirm(question, yes):
    """Asks; without a terminal a question is an error, not a wait."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"{question}\nThere is no terminal to ask on: run again with --yes.",
                      EXIT_USAGE)
    print(f"umka: {question} [Y/n] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
        raise Failure("nothing was changed", EXIT_USAGE)
