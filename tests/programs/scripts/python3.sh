# python3: what its standard library asks of the kernel.
cat >many.py <<'END'
import concurrent.futures, ctypes, errno, fcntl, hashlib, mmap, multiprocessing, os, pathlib, pty
import resource, select, selectors, shutil, signal, socket, stat, subprocess, sys, tempfile, termios
import threading, time


def show(name):
    def wrap(function):
        try:
            print(f"{name}: {function()}", flush=True)
        except OSError as error:
            print(f"{name}: {errno.errorcode[error.errno]}", flush=True)
        return function
    return wrap


@show("epoll")
def _():
    r, w = os.pipe()
    poll = select.epoll()
    poll.register(r, select.EPOLLIN | select.EPOLLET)
    before = poll.poll(0)
    os.write(w, b"x")
    return before, [event for _, event in poll.poll(1)], poll.poll(0)


@show("eventfd")
def _():
    fd = os.eventfd(3, os.EFD_SEMAPHORE)
    os.eventfd_write(fd, 4)
    return [os.eventfd_read(fd) for _ in range(7)]


@show("memfd")
def _():
    fd = os.memfd_create("m", os.MFD_ALLOW_SEALING)
    os.write(fd, b"sealed")
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    try:
        os.write(fd, b"x")
    except PermissionError as error:
        return os.pread(fd, 10, 0), errno.errorcode[error.errno]


@show("sendfile and copy_file_range")
def _():
    pathlib.Path("a").write_bytes(bytes(range(256)) * 100)
    with open("a", "rb") as a, open("b", "wb") as b:
        n = os.copy_file_range(a.fileno(), b.fileno(), 20000)
        m = os.sendfile(b.fileno(), a.fileno(), 20000, 10000)
    return n, m, hashlib.sha256(pathlib.Path("b").read_bytes()).hexdigest()[:16]


@show("scheduling")
def _():
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    os.sched_yield()
    return os.sched_getscheduler(0) == os.SCHED_BATCH, len(os.sched_getaffinity(0)), \
        os.sched_get_priority_max(os.SCHED_FIFO)


@show("pidfd")
def _():
    child = subprocess.Popen(["sleep", "100"])
    fd = os.pidfd_open(child.pid)
    signal.pidfd_send_signal(fd, signal.SIGTERM)
    info = os.waitid(os.P_PIDFD, fd, os.WEXITED)
    child.returncode = 0
    return info.si_status, info.si_code == os.CLD_KILLED


@show("signals")
def _():
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    os.kill(os.getpid(), signal.SIGUSR2)
    info = signal.sigwaitinfo({signal.SIGUSR2})
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.pause()
    return seen, info.si_signo, info.si_pid == os.getpid()


@show("threads")
def _():
    lock, total = threading.Lock(), [0]

    def work():
        for _ in range(2000):
            with lock:
                total[0] += 1
    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return total[0], sum(pool.map(lambda x: x * x, range(100)))


@show("multiprocessing")
def _():
    with multiprocessing.get_context("fork").Pool(3) as pool:
        return sum(pool.map(abs, range(-50, 50)))


@show("subprocess")
def _():
    done = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in", capture_output=True)
    killed = subprocess.run(["sh", "-c", "kill -9 $$"]).returncode
    try:
        subprocess.run(["sleep", "10"], timeout=0.2)
        late = "no"
    except subprocess.TimeoutExpired:
        late = "timeout"
    pipe = subprocess.run("seq 1 100000 | sort -rn | head -1", shell=True, capture_output=True).stdout
    return done.stdout, done.stderr, done.returncode, killed, late, pipe


@show("unix sockets")
def _():
    server = socket.socket(socket.AF_UNIX)
    server.bind("sock")
    server.listen()

    def serve():
        conn, _ = server.accept()
        data, fds, _, _ = socket.recv_fds(conn, 100, 4)
        os.write(fds[0], b"through " + data)
        conn.close()
    thread = threading.Thread(target=serve)
    thread.start()
    client = socket.socket(socket.AF_UNIX)
    client.connect("sock")
    r, w = os.pipe()
    socket.send_fds(client, [b"descriptor"], [w])
    thread.join()
    return os.read(r, 100), client.recv(10)


@show("mmap")
def _():
    with open("map", "w+b") as f:
        f.truncate(8192)
        m = mmap.mmap(f.fileno(), 8192)
        m[4090:4100] = b"0123456789"
        m.flush()
        f.seek(4090)
        m.resize(16384)
        return f.read(10), len(m), m.find(b"789")


@show("files")
def _():
    with tempfile.TemporaryDirectory(dir=".") as d:
        for i in range(50):
            pathlib.Path(d, f"f{i}").write_text("x" * i)
        os.symlink("f1", d + "/link")
        os.link(d + "/f2", d + "/hard")
        shutil.copytree(d, "copy", symlinks=True)
        os.utime(d + "/f3", ns=(10**18 + 1, 10**18 + 2))
        s = os.stat(d + "/f3")
        names = sorted(e.name for e in os.scandir("copy") if e.is_symlink())
    shutil.rmtree("copy")
    return s.st_mtime_ns, s.st_atime_ns, names, os.path.exists("copy")


@show("locks")
def _():
    f = open("lock", "w")
    fcntl.lockf(f, fcntl.LOCK_EX)
    code = "import fcntl,sys\ntry:\n fcntl.lockf(open('lock','w'), fcntl.LOCK_EX|fcntl.LOCK_NB)\nexcept OSError as e:\n print(e.errno)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == str(errno.EAGAIN)


@show("pty")
def _():
    pid, fd = pty.fork()
    if pid == 0:
        os.execlp("sh", "sh", "-c", "stty size; tty | grep -c pts; read x; echo got $x")
    termios.tcsetwinsize(fd, (33, 77))
    time.sleep(0.3)
    os.write(fd, b"word\n")
    out = b""
    try:
        while chunk := os.read(fd, 1000):
            out += chunk
    except OSError as error:
        assert error.errno == errno.EIO
    return b"got word" in out, b"1\r\n" in out, os.waitpid(pid, 0)[1]


@show("limits")
def _():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            os.dup(0)
    except OSError as error:
        os.closerange(3, 100)
        return errno.errorcode[error.errno], resource.getrlimit(resource.RLIMIT_NOFILE)


@show("asyncio")
def _():
    import asyncio

    async def main():
        process = await asyncio.create_subprocess_exec("echo", "async", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        await asyncio.gather(*(asyncio.sleep(0.05) for _ in range(20)))
        return out, process.returncode
    return asyncio.run(main())


@show("deep recursion and memory")
def _():
    data = [bytes(1 << 20) for _ in range(60)]
    return sum(map(len, data)), sys.getrecursionlimit() >= 1000


os._exit(0) if sys.stdout.flush() is None and "--fast" in sys.argv else None
END
python3 many.py
echo "status $?"
python3 -c 'import sys; sys.exit(9)'
echo "status $?"
python3 -c 'import os; os.abort()' 2>/dev/null
echo "status $?"
python3 -c 'print(sum(i * i for i in range(300000)))'
python3 -c 'import zlib, hashlib; d = bytes(range(256)) * 4000; print(len(zlib.compress(d)), hashlib.md5(d).hexdigest())'
python3 -m compileall -q many.py && ls __pycache__ | wc -l
python3 -c 'import timeit; raise SystemExit(0 if timeit.timeit("1+1", number=1000) < 10 else 1)'
echo "status $?"
