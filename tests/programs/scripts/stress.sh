# stress-ng: a little of each stressor.
# The clocksource warning names pids and depends on how fast the host calibrates the guest's TSC.
for s in "--cpu 2 --cpu-ops 4" "--fork 2 --fork-ops 100" "--pipe 2 --pipe-ops 2000" "--futex 2 --futex-ops 2000" \
	"--mmap 1 --mmap-bytes 16M --mmap-ops 20" "--hdd 1 --hdd-bytes 4M --hdd-ops 20" "--switch 2 --switch-ops 2000" \
	"--poll 1 --poll-ops 500" "--timer 1 --timer-ops 200" "--vm 1 --vm-bytes 16M --vm-ops 20" "--sem 2 --sem-ops 500"; do
	stress-ng --quiet --timeout 60 $s 2>&1 | grep -v -e 'finished prematurely' -e 'WARNING! using HPET'; echo "${s%% *} ${PIPESTATUS[0]}"
done
