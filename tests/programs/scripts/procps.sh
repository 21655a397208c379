# procps: what /proc tells.
sleep 50 & pid=$!
ps -o comm= -p $pid; ps -e -o comm= | grep -c '^sleep$'; pgrep -f 'sleep 50' | wc -l
[ "$(ps -o ppid= -p $pid | tr -d ' ')" = $$ ] && echo parent
free | awk '{print $1}'; uptime | grep -c load; vmstat | wc -l; pidof sleep | wc -w
pkill -f 'sleep 50'; wait $pid; echo $?
top -b -n 1 | sed -n 7p | awk '{print $1, $2}'; sysctl -n kernel.ostype; w -h | wc -l; pmap $$ | tail -1 | awk '{print $1}'
