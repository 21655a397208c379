# sh, coreutils and friends: pipes, here documents, find, sort, tar, dates, process tools.
seq 1 20000 | sort -R --random-source=/bin/ls | sort -n | md5sum
find /usr/bin -type f -name 'l*' | wc -l >/dev/null && echo found
mkdir -p a/b/c && echo text >a/b/c/f && tar cf t.tar a && rm -r a && tar xf t.tar && cat a/b/c/f
cp -a a copy && diff -r a copy && echo same
dd if=/dev/zero of=big bs=64k count=160 2>/dev/null && stat -c %s big && cksum big
truncate -s 1G sparse && du -k sparse | cut -f1 && stat -c %s sparse
mkfifo p && (echo via fifo >p &) && cat p
ln -s loop loop; cat loop 2>&1 | sed 's/.*: //'
(trap 'echo trapped' TERM; kill -TERM $(sh -c 'echo $PPID'); echo after)
sh -c 'kill -SEGV $$'; echo "status $?"
nice -n 5 nice
timeout 1 sleep 10; echo "timeout $?"
env -i A=1 env
echo hello | tee one two | rev 2>/dev/null || echo hello | tee one two
cat one two
umask 027; touch masked; stat -c %a masked; umask 022
touch -d '2001-02-03 04:05:06.789 UTC' old; TZ=UTC stat -c %y old
ps -o pid= -p $$ | wc -l
pgrep -c -x sh >/dev/null && echo 'sh runs'
id -u; id -g; whoami
printf 'b\na\nc\n' | xargs -n1 -P3 echo | sort | tr '\n' ' '; echo
i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done; echo "$i processes"
cat /proc/self/comm; readlink /proc/self/exe | sed 's/.*\///'
head -c 100000 /dev/urandom | wc -c
stat -f -c %T /proc /sys /dev/pts | tr '\n' ' '; echo
mktemp -d ./tXXXX >/dev/null && ls -d t???? | wc -l
split -b 100k big part. && cat part.* | cmp - big && echo whole
sync; echo synced
