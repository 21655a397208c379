"""What suites that boot guests share."""

import os
import signal
import subprocess

from umka.common import ROOT, die_with_parent

UMKA = os.environ.get("UMKA", str(ROOT / "umka"))
GUEST_SECONDS = 600 if os.environ.get("UMKA_BUILD") == "asan" else 240


def arches():
    """The architectures to test: both, or the one that ./umka test was told."""
    return [os.environ["UMKA_ARCH"]] if "UMKA_ARCH" in os.environ else ["x86_64", "aarch64"]


def kinds():
    return [os.environ["UMKA_BUILD"]] if "UMKA_BUILD" in os.environ else ["release", "debug", "asan"]


def kernels():
    """The kernels a suite compares: Linux is the oracle, and a check of the suite itself."""
    return [os.environ["UMKA_KERNEL"]] if "UMKA_KERNEL" in os.environ else ["umka", "linux"]


def chosen():
    """Options of ./umka run for the build and the CPUs that ./umka test was told, if it was."""
    words = ["--build", os.environ["UMKA_BUILD"]] if "UMKA_BUILD" in os.environ else []
    return words + (["--cpus", os.environ["UMKA_CPUS"]] if "UMKA_CPUS" in os.environ else [])


def count(default):
    return int(os.environ.get("UMKA_COUNT", default))


class Outcome:
    """What one call of ./umka came to."""

    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode(errors="replace")

    def __str__(self):
        text = self.out.decode(errors="replace")
        return f"exit status {self.status}\nstdout: {text[-600:]!r}\nstderr: {self.err[-3000:]}"


def umka(*words, stdin=b"", seconds=GUEST_SECONDS):
    """Calls ./umka as a user does; a call that takes too long has status -1."""
    try:
        done = subprocess.run([UMKA, *words], cwd=ROOT, input=stdin, capture_output=True,
                              timeout=seconds, check=False, preexec_fn=die_with_parent)
    except subprocess.TimeoutExpired as late:
        done = subprocess.CompletedProcess(words, -1, late.stdout or b"",
                                           (late.stderr or b"") + b"\nnot done in time")
    return Outcome(done)


def guest(*options, command, seconds=GUEST_SECONDS):
    return umka("run", *options, "--boot-timeout", str(seconds), "--timeout", str(seconds), "--",
                *command, seconds=2 * seconds + 30)


def power_cut(*options, command, word, seconds=GUEST_SECONDS):
    """Boots a guest and takes its power away, by the end of QEMU, as soon as it has printed `word`.
    True: it got there."""
    limit = ("--boot-timeout", str(seconds), "--timeout", str(seconds))
    with subprocess.Popen([UMKA, "run", *options, *limit, "--", *command], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          preexec_fn=die_with_parent) as guest_now:
        there = any(line.strip() == word for line in guest_now.stdout)
        # ./umka kills QEMU and takes its scratch folder away. Not SIGINT: in a shell's background it is ignored.
        guest_now.send_signal(signal.SIGTERM)
        guest_now.stdout.read()
    return there
