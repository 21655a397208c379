"""Runs the cases of the ABI suite in guests and reads what the runner prints there."""

import hashlib
import os
import re
import shutil
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


def _boot(kernel, arch, kind, cpus, overlay, command, seconds):
    """One guest; its output as text, and its exit status."""
    words = [UMKA, "run", "--kernel", kernel, "--arch", arch, "--cpus", str(cpus), "--overlay", overlay,
             "--timeout", str(seconds), "--boot-timeout", "300"]
    if kind:
        words += ["--build", kind]
    done = subprocess.run(words + ["--"] + command, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", check=False)
    return done.stdout, done.stderr, done.returncode


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
            notes.append(line)
    return results, running


def run_cases(kernel, names, arch, kind, cpus):
    """Runs the cases in as many guests as it takes."""
    runner = build(arch)
    left, results, limit = list(names), {}, CASE_SECONDS[kind]
    for attempt in range(MOST_GUESTS):
        if not left:
            break
        folder = _overlay(runner, left)
        try:
            text, errors, status = _boot(kernel, arch, kind, cpus, folder, [
                "/overlay/abi-runner", "--timeout", str(limit), "--file", "/overlay/cases"],
                120 + 4 * limit + 3 * len(left))
        finally:
            shutil.rmtree(folder)
        label = f"{kernel}-{arch}-{kind}-{cpus}-{attempt}"
        os.makedirs(OUT, exist_ok=True)
        with open(os.path.join(OUT, label + ".log"), "w", encoding="utf-8") as log:
            log.write(text + "\n--- stderr, status " + str(status) + "\n" + errors)
        got, running = _read(text)
        if running:
            last = "\n".join(errors.strip().splitlines()[-20:])
            got[running] = ("fail", f"the guest ended in this case (status {status})\n{last}")
        if not got:
            print(f"# {label}: no case ran, status {status}: {errors.strip()[-800:]!r}")
            break
        results.update(got)
        left = [name for name in left if name not in results]
    return results


def check_masks(names):
    """The masks on Linux: (text, good) for each case and each call that it names."""
    if not names:
        return
    folder = _overlay(build("x86_64"), names)
    try:
        text, errors, status = _boot("linux", "x86_64", None, 2, folder, [
            "/overlay/abi-runner", "--timeout", "10", "--check-masks", "--file", "/overlay/cases"], 1200)
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
