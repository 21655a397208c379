#!/bin/bash
# The workload "Debian programs": runs in the guest, in the debian root, the same on both kernels.
# Every step prints its name, what must be equal on both kernels, and its status.
# Arguments: names of steps (all when none are given).
export HOME=/root LC_ALL=C.UTF-8 TERM=xterm GIT_CONFIG_GLOBAL=/tmp/gitconfig TZ=UTC
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
work=/root/work
STEPS="bash coreutils procps python perl gcc make git sqlite apt tmux stress e2fsprogs"

step_bash() {
	set -m
	sleep 100 &
	kill -STOP %1; sleep 0.3
	jobs | sed 's/ *sleep/ sleep/'
	kill -CONT %1; kill %1; wait %1; echo "job $?"
	mkfifo f; (echo through a fifo >f) & cat <f; wait
	cat <(echo substituted) <<<here
	diff <(seq 1 5) <(seq 2 6)
	exec {fd}>file; echo text >&$fd; exec {fd}>&-; cat file
	echo {1..5} $((2 ** 40)) "${BASH_VERSION%%.*}"
	(ulimit -n 64; ulimit -n)
	trap 'echo got USR1' USR1; kill -USR1 $BASHPID; trap - USR1
	printf '%s\n' a b c | while read -r x; do echo "<$x>"; done
	(exit 42); echo $?
}

step_coreutils() {
	seq 1 20000 >n; sort -rn n | head -3; sort -R n | sort -n | cmp - n && echo same
	wc n; md5sum n; sha256sum n; split -l 7000 n part.; cat part.* | cmp - n && wc -l part.*
	cp -a n m; ln n hard; ln -s n soft; stat -c '%h %s %F' n hard soft; readlink soft
	mkdir -p d/e/f; touch -d '2020-02-03 04:05:06.789' d/e/f/g; stat -c '%y %a' d/e/f/g; chmod 4751 d/e/f/g
	stat -c %A d/e/f/g; find d -type f -printf '%P %m\n'; du -s --apparent-size d | cut -f2; rm -rf d; ls
	dd if=/dev/zero of=sparse bs=1 count=1 seek=10M 2>/dev/null; stat -c '%s' sparse; truncate -s 100 sparse
	tar -cf t.tar n m; tar -tvf t.tar | awk '{print $1, $3, $6}'; gzip -kf n; zcat n.gz | cmp - n && echo gzip
	mv n n2; test -e n || echo moved; timeout 0.2 sleep 5; echo $?; nice -n 5 nice; nproc >/dev/null
	env -i A=1 env; tee x <<<y; tail -c 3 x; od -An -tx1 x; mktemp -d /tmp/XXXXXX | wc -c; df / | wc -l
	chown 5:6 m; stat -c '%u %g' m; id -un; pwd; tty || true; date -d @86400 +%F; uname -s -m; sync
}

step_procps() {
	sleep 50 & local pid=$!
	ps -o comm= -p $pid; ps -e -o comm= | grep -c '^sleep$'; pgrep -f 'sleep 50' | wc -l
	[ "$(ps -o ppid= -p $pid | tr -d ' ')" = $$ ] && echo parent
	free | awk '{print $1}'; uptime | grep -c load; vmstat | wc -l; pidof sleep | wc -w
	pkill -f 'sleep 50'; wait $pid; echo $?
	top -b -n 1 | sed -n 7p | awk '{print $1, $2}'; sysctl -n kernel.ostype; w -h | wc -l; pmap $$ | tail -1 | awk '{print $1}'
}

step_python() {
	python3 - <<'PY'
import os, sys, json, threading, multiprocessing, subprocess, select, socket, mmap, signal, tempfile, time, zlib
print(sum(i * i for i in range(1000)), json.dumps({"a": [1, 2.5, None]}))
lock = threading.Lock(); total = 0
def add():
    global total
    for _ in range(200):
        with lock: total += 1
threads = [threading.Thread(target=add) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]; print("threads", total)
print(subprocess.run(["sh", "-c", "echo child; exit 3"], capture_output=True))
a, b = socket.socketpair(); a.send(b"ping"); print(b.recv(10))
ep = select.epoll(); ep.register(b, select.EPOLLIN); print(ep.poll(0)); a.send(b"x"); print(len(ep.poll(1)))
with tempfile.TemporaryFile() as f:
    f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[5000:5005] = b"hello"; m.flush(); f.seek(5000); print(f.read(5))
r, w = os.pipe()
if os.fork() == 0: os.write(w, b"forked"); os._exit(7)
print(os.read(r, 10), os.waitstatus_to_exitcode(os.wait()[1]))
signal.signal(signal.SIGALRM, lambda *_: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2)
fd = os.memfd_create("m"); os.write(fd, b"memory"); print(os.pread(fd, 6, 0), os.fstat(fd).st_size)
ev = os.eventfd(3); print(os.eventfd_read(ev)); print(len(os.sched_getaffinity(0)) >= 1, zlib.crc32(b"x" * 100000))
with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2, 3]))
print(sorted(os.listdir("/proc/self/fd"))[:3], os.readlink("/proc/self/exe"))
PY
}

step_perl() {
	perl -e 'print join(",", map { $_ ** 2 } 1 .. 10), "\n"; my %h = (a => 1, b => 2); print "$_=$h{$_}\n" for sort keys %h;'
	perl -MPOSIX -e 'my ($r, $w); pipe $r, $w; my $p = fork; if (!$p) { print $w "from child\n"; close $w; exit 4 } close $w; print <$r>; waitpid $p, 0; print $? >> 8, "\n"; print POSIX::strftime("%F", gmtime 0), "\n"'
	perl -MSocket -MIO::Handle -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0); $a->autoflush; print $a "line\n"; print scalar <$b>; local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; sleep 3; print -s "/etc/passwd" > 0, "\n"'
	seq 1 100 | perl -ne '$s += $_; END { print "$s\n" }'
}

write_sources() {
	local i
	for i in $(seq 1 20); do
		cat >f$i.c <<C
#include <pthread.h>
#include <stdio.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total$i;
static void *work(void *arg) { for (int i = 0; i < 2000; i++) { pthread_mutex_lock(&lock); total$i += (long)arg; pthread_mutex_unlock(&lock); } return 0; }
long run$i(void) { pthread_t t[4]; for (long i = 0; i < 4; i++) pthread_create(&t[i], 0, work, (void *)(i + $i)); for (int i = 0; i < 4; i++) pthread_join(t[i], 0); return total$i; }
C
	done
	{
		for i in $(seq 1 20); do echo "long run$i(void);"; done
		echo '#include <stdio.h>'
		echo 'int main(void) { long all = 0;'
		for i in $(seq 1 20); do echo "all += run$i();"; done
		echo 'printf("%ld\n", all); return all == 1920000 ? 0 : 1; }'
	} >main.c
}

step_gcc() {
	write_sources
	gcc -O1 -Wall -pthread -o prog main.c f*.c && ./prog
	gcc -g -static -o static main.c f*.c && ./static
	echo 'int main(void) { return x; }' >bad.c; gcc bad.c 2>errors; echo $?; head -2 errors
	strip prog; ./prog; ldd ./prog | awk '{print $1}' | sort | tail -2; objdump -f prog | grep -c start
}

step_make() {
	write_sources
	printf 'objects := $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(objects)\n\t@$(CC) -pthread -o $@ $^\n%%.o: %%.c\n\t@$(CC) -c -o $@ $<\nclean:\n\trm -f prog *.o\n' >Makefile
	make -j4 && ./prog; make -j4; touch f3.c; make -n | wc -l; make clean | wc -c; ls | wc -l
}

step_git() {
	git config --global user.name t; git config --global user.email t@example.org
	git config --global init.defaultBranch main; git config --global advice.detachedHead false
	git config --global safe.directory '*'
	mkdir origin; git -C origin init -q; git -C origin fetch -q /overlay/history.bundle HEAD:refs/heads/imported && git -C origin checkout -q -B main imported
	git clone -q "file://$PWD/origin" clone; cd clone || return 1
	git log --format=%H | wc -l; git gc -q; git fsck --full && echo fsck
	git log --format=%h | awk 'NR % 3 == 0' | head -10 | while read -r c; do git checkout -q "$c" && git status --porcelain | wc -l; done
	git checkout -q main; git checkout -q -b side; echo change >>new; git add new; git commit -qm side; git checkout -q main
	echo other >other; git add other; git commit -qm main; git merge -q -m merge side; git log --oneline --format=%s | head -3
	git diff HEAD~1 --stat | tail -1; git stash list | wc -l; git rev-parse HEAD^{tree}; git archive HEAD | wc -c | awk '{print $1 > 0}'
}

step_sqlite() {
	local mode
	for mode in delete wal; do
		{
			echo "pragma journal_mode=$mode; pragma synchronous=full; create table t(id integer primary key, v text);"
			echo "begin;"; seq 1 10000 | sed 's/.*/insert into t values(&, hex(&) || '"'text'"');/'; echo "commit;"
			seq 10001 10500 | sed 's/.*/insert into t values(&, '"'single'"');/'
			echo "select count(*), sum(id) from t; create index i on t(v); select count(*) from t where v='single'; pragma integrity_check;"
		} | sqlite3 $mode.db
		sqlite3 $mode.db 'delete from t where id % 3 = 0; vacuum; pragma integrity_check; select count(*) from t;'
	done
	(sqlite3 delete.db 'begin exclusive; select 1;' '.shell sleep 2' 'commit;' &) ; sleep 1
	sqlite3 delete.db 'insert into t values(99999, "x");' 2>&1 | head -1; sleep 2; sqlite3 delete.db 'select max(id) from t;'
}

step_apt() {
	mkdir -p pkg/DEBIAN pkg/usr/share/hello trig/DEBIAN repo
	echo data >pkg/usr/share/hello/data
	printf 'Package: umka-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: test\n' >pkg/DEBIAN/control
	for s in preinst postinst prerm postrm; do printf '#!/bin/sh\necho "hello %s $1"\n' $s >pkg/DEBIAN/$s; chmod 755 pkg/DEBIAN/$s; done
	printf 'Package: umka-trigger\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: test\n' >trig/DEBIAN/control
	echo 'interest /usr/share/hello' >trig/DEBIAN/triggers
	printf '#!/bin/sh\necho "trigger $1 $2"\n' >trig/DEBIAN/postinst; chmod 755 trig/DEBIAN/postinst
	dpkg-deb --root-owner-group -b pkg repo/umka-hello_1.0_all.deb; dpkg-deb --root-owner-group -b trig repo/umka-trigger_1.0_all.deb
	for f in repo/*.deb; do dpkg-deb -f $f; echo "Filename: ./${f#repo/}"; echo "Size: $(stat -c %s $f)"; echo "SHA256: $(sha256sum $f | cut -d' ' -f1)"; echo; done >repo/Packages
	mv repo /srv/repo; chmod -R a+rX /srv/repo
	echo 'deb [trusted=yes] copy:/srv/repo ./' >/tmp/umka.list
	local opts="-qq -o Dir::Etc::SourceList=/tmp/umka.list -o Dir::Etc::SourceParts=/dev/null -o Dpkg::Use-Pty=0 -o APT::Get::List-Cleanup=0"
	apt-get $opts update; echo "update $?"
	apt-get $opts -y install umka-trigger umka-hello 2>&1 | grep -E '^(hello|trigger)'; dpkg -L umka-hello | tail -1; dpkg -s umka-hello | grep Status
	apt-get $opts -y remove umka-hello 2>&1 | grep -E '^(hello|trigger)'; apt-get $opts -y purge umka-hello umka-trigger 2>&1 | grep -E '^(hello|trigger)'
	dpkg -s umka-hello 2>&1 | head -1 | cut -c1-40; dpkg --audit; echo "audit $?"
}

step_tmux() {
	local t="tmux -L umka -f /dev/null"
	$t new-session -d -x 100 -y 30 -s main 'exec bash --norc' || return 1
	$t split-window -h -t main 'exec bash --norc'; $t resize-pane -t main:0.0 -x 30; sleep 1
	$t list-panes -t main -F '#{pane_index} #{pane_width}x#{pane_height}'
	$t send-keys -t main:0.0 'stty size; echo ma''rk' Enter; sleep 2; $t capture-pane -p -t main:0.0 | grep -A0 -E '^(mark|[0-9]+ [0-9]+)$'
	(script -qc "$t attach -t main" /dev/null </dev/zero >/dev/null 2>&1 &) ; sleep 2
	$t list-clients | wc -l; $t detach-client -s main; sleep 1; $t list-clients | wc -l
	(script -qc "$t attach -t main" /dev/null </dev/zero >/dev/null 2>&1 &) ; sleep 2; $t list-clients | wc -l
	$t new-window -t main 'sleep 100'; $t list-windows -t main | wc -l; $t kill-session -t main; sleep 1; $t ls 2>&1 | cut -c1-17
}

step_stress() {
	local s
	for s in "--cpu 2 --cpu-ops 20" "--fork 2 --fork-ops 100" "--pipe 2 --pipe-ops 2000" "--futex 2 --futex-ops 2000" \
		"--mmap 1 --mmap-bytes 16M --mmap-ops 20" "--hdd 1 --hdd-bytes 4M --hdd-ops 20" "--switch 2 --switch-ops 2000" \
		"--poll 1 --poll-ops 500" "--timer 1 --timer-ops 200" "--vm 1 --vm-bytes 16M --vm-ops 20" "--sem 2 --sem-ops 500"; do
		stress-ng --quiet --timeout 60 $s 2>&1 | grep -v 'finished prematurely'; echo "${s%% *} ${PIPESTATUS[0]}"
	done
}

step_e2fsprogs() {
	truncate -s 16M img; mke2fs -q -F -t ext4 img; e2fsck -fn img >/dev/null 2>&1; echo "fsck $?"
	echo content >file; debugfs -w -R 'write file file' img 2>/dev/null; debugfs -R 'cat file' img 2>/dev/null
	tune2fs -L label img >/dev/null; dumpe2fs -h img 2>/dev/null | grep -E 'volume name|Inode count'; lsattr -d . | cut -c1-4 | tr -d -- - | wc -c
}

[ $# -gt 0 ] || set -- $STEPS
for name; do
	rm -rf $work; mkdir -p $work; cd $work || exit 1
	echo "== $name"
	(set +e; "step_$name") 2>&1
	echo "-- status $?"
done
