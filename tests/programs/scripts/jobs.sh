# bash: interactive job control on a terminal.
cat >jobs.py <<'END'
import os, pty, re, select, sys, termios, time

pid, fd = pty.fork()
if pid == 0:
    os.environ.update(PS1="ready> ", TERM="dumb", HISTFILE="/dev/null", INPUTRC="/dev/null")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
termios.tcsetwinsize(fd, (24, 200))


def until(pattern, seconds=30):
    out, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                out += os.read(fd, 4096).decode(errors="replace")
            except OSError:
                break
            if re.search(pattern, out):
                return out
    print(f"waited for {pattern!r}, got {out!r}")
    return out


def clean(text):
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text).replace("\r", "")
    text = re.sub(r"\[(\d)\] \d{2,}", r"[\1] PID", text)
    text = re.sub(r"\[(\d)\][-+ ] ", r"[\1] ", text)  # which job is the current one may vary
    return "\n".join(line for line in text.split("\n")[1:] if not line.startswith("ready>")).strip()


def line(text, pattern=r"ready> $"):
    os.write(fd, text.encode() + b"\n")
    out = clean(until(pattern))
    print(f"$ {text}\n{out}" if out else f"$ {text}")


def key(what, data, pattern=r"ready> $"):
    time.sleep(0.5)
    os.write(fd, data)
    out = until(pattern).replace("\r", "")
    out = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", out).replace("^Z[", "^Z\n[")
    print(f"<{what}> {' | '.join(l for l in out.split(chr(10)) if l and not l.startswith('ready>'))}")


until(r"ready> $")
line("echo $-|tr -d BHhimis; tty|cut -c1-9")
line("stty size")
os.write(fd, b"sleep 100\n")
key("^Z", b"\x1a")
line("jobs")
line("bg")
line("jobs")
os.write(fd, b"fg\n")
key("^C", b"\x03")
line("echo status $?")
line("sleep 0.3 & sleep 100 &")
line("sleep 0.8; jobs")
line("kill %2; sleep 0.5")
line("jobs; echo none")
line("cat &")
line("sleep 0.4; jobs")
line("kill -9 %1; sleep 0.5")
line("echo done")
os.write(fd, b"cat | cat\n")
key("word ^D", b"word\n\x04")
os.write(fd, b"sleep 100 | cat\n")
key("^Z", b"\x1a")
line("jobs")
line("kill -9 %+; sleep 0.5")
line("jobs; echo none")
line("trap 'echo trapped' INT")
os.write(fd, b"sh -c 'sleep 100'\n")
key("^C", b"\x03")
line("trap - INT; (exit 3); echo $?")
line("set -m; (sleep 0.2; exit 5) & wait $!; echo $?")
line("stty -echo; stty echo; echo quiet")
termios.tcsetwinsize(fd, (50, 132))
time.sleep(0.5)
while select.select([fd], [], [], 0.5)[0]:  # the prompt is drawn again
    os.read(fd, 4096)
line("sleep 0.2; stty size")
os.write(fd, b"sleep 100\n")
key("^\\", b"\x1c")
line("echo $?")
line("suspend 2>&1 | head -1; echo here")
os.write(fd, b"exit 4\n")
try:
    while os.read(fd, 1000):
        pass
except OSError:
    pass
print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
ulimit -c 0
python3 jobs.py
echo "status $?"
