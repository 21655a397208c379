# cycle.sh DEVICE SECONDS: mounts, writes, unmounts, over and over, while the commit thread (commit=1) and sync come by. An unmounted device is
# free at once, and nothing keeps a file system busy that nobody uses.
mkdir -p /m
n=0 bad=0
end=$(($(cut -d. -f1 /proc/uptime) + $2))
while [ "$(cut -d. -f1 /proc/uptime)" -lt $end ]; do
	mount -t ext4 -o commit=1 "$1" /m || { bad=$((bad + 1)); sleep 1; continue; }
	for i in 1 2 3 4 5 6 7 8; do echo hello >/m/f$i; done
	mkdir -p /m/d
	rm -f /m/f3
	[ $((n % 3)) = 0 ] && sleep 0.9$((n % 10))
	[ $((n % 4)) = 0 ] && sync &
	umount /m || { bad=$((bad + 1)); umount -l /m; }
	n=$((n + 1))
done
wait
echo "$n cycles, $bad bad" >&2
[ $bad = 0 ] && [ $n -gt 3 ]
