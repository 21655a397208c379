#!/bin/sh
# populate.sh IMAGE MEBIBYTES [mke2fs option]...: an ext4 image with something of every structure: an indexed directory, deep
# directories, an extent tree with nodes of its own, symbolic links in blocks, attributes in inodes and in blocks.
set -eu
PATH=$PATH:/usr/sbin:/sbin
image=$1 size=$2
shift 2
from=$(mktemp -d)
trap 'rm -rf "$from"' EXIT
mkdir -p "$from/a/b/c" "$from/many" "$from/plain" "$from/empty"
i=0
while [ $i -lt 300 ]; do
	: >"$from/many/a-rather-long-name-that-takes-its-room-$i"
	i=$((i + 1))
done
echo short >"$from/a/file"
i=0
while [ $i -lt 12 ]; do
	echo "$i" >"$from/plain/$i"
	mkdir "$from/plain/d$i"
	i=$((i + 1))
done
ln -s target "$from/a/fast"
ln -s "$(printf '%0200d' 0)" "$from/a/slow"
ln "$from/a/file" "$from/a/b/second"
mkfifo "$from/a/b/fifo"
# every other block: one extent each
python3 - "$from/a/b/scattered" <<'PY'
import sys
with open(sys.argv[1], "wb") as out:
    for at in range(400):
        out.seek(at * 8192)
        out.write(b"x" * 700)
PY
head -c 300000 /dev/zero | tr '\0' 'y' >"$from/a/b/c/whole"
head -c 900 /dev/zero | tr '\0' 'v' >"$from/value"
rm -f "$image"
truncate -s "${size}M" "$image"
mke2fs -q -F -t ext4 -N 1024 -d "$from" "$@" "$image" >/dev/null 2>&1
debugfs -w "$image" >/dev/null 2>&1 <<DEBUGFS
ea_set a/file user.small value
ea_set -f $from/value a/file user.large
ea_set a/b user.small value
ea_set -f $from/value many user.large
DEBUGFS
# the directory index is e2fsck's
e2fsck -fyD "$image" >/dev/null 2>&1 || [ $? -lt 4 ]
