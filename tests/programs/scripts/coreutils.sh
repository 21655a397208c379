# coreutils, tar, gzip: files, links, times, modes.
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
