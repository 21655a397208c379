# tmux: a session is split, resized, detached and attached; panes run programs.
export LC_ALL=C.UTF-8 TERM=xterm TMUX_TMPDIR=$PWD SHELL=/bin/sh
unset TMUX
t() { tmux -L programs -f /dev/null "$@"; }
panes() { t list-panes -t s -F '#{pane_index} #{pane_width}x#{pane_height} #{pane_current_command} #{pane_active}'; }
until_shows() { # PANE TEXT
	n=0
	while [ $n -lt 100 ]; do
		t capture-pane -p -t s.$1 | grep -q "$2" && break
		sleep 0.1
		n=$((n + 1))
	done
	t capture-pane -p -t s.$1 | grep -q "$2" && echo "shown: $2" || t capture-pane -p -t s.$1
}
t new-session -d -s s -x 100 -y 30 'PS1=prompt: exec sh'
echo "new: $?"
panes
t send-keys -t s 'stty size; echo one-$((40 + 2))' Enter
until_shows 0 '^one-42'
t capture-pane -p -t s.0 | grep -x '[0-9]* 100'
t split-window -t s -h 'PS1=second: exec sh'
panes
t split-window -t s -v 'cat'
panes
t resize-pane -t s.0 -x 30
panes
sleep 1 # tmux tells a pane of its size by and by
t send-keys -t s.0 'stty size | sed s/^/size-/' Enter
until_shows 0 '^size-.* 30$'
t send-keys -t s.2 'echoed by cat' Enter
until_shows 2 'echoed by cat'
t send-keys -t s.1 'sleep 100' Enter
sleep 0.5
t list-panes -t s -F '#{pane_index} #{pane_current_command}' | sed -n 2p
t send-keys -t s.1 C-c
t send-keys -t s.1 'echo after-$?' Enter
until_shows 1 '^after-130'
cat >attach.py <<'END'
import os, pty, re, select, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("tmux", ["tmux", "-L", "programs", "attach", "-t", "s"])
termios.tcsetwinsize(fd, (40, 120))
end, out = time.monotonic() + float(sys.argv[1]), b""
sent = False
while time.monotonic() < end:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    if not sent and b"prompt:" in out:
        sent = True
        time.sleep(1)
        os.write(fd, b"\x02d")
_, status = os.waitpid(pid, 0)
print("attached", sent, "detached", b"[detached" in out, "status", status)
END
python3 attach.py 30
t list-clients | wc -l
t list-sessions -F '#{session_name} #{session_windows} #{session_attached}'
t resize-window -t s -x 90 -y 25
t list-windows -t s -F '#{window_width}x#{window_height} #{window_panes}'
t new-window -t s: -n two 'sleep 100'
t list-windows -t s -F '#{window_index} #{window_name} #{window_active}'
t kill-pane -t s:0.2
t list-panes -t s:0 -F x | wc -l
t set-buffer 'the buffer'
t show-buffer
echo
t kill-server
sleep 0.3
t list-sessions 2>&1 | grep -c -E 'no server running|error connecting'
