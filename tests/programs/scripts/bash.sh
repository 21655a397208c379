# bash: what it does without a terminal.
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
