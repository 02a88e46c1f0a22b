#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# /init of a guest: tries plumb on this kernel and sends what came of it to the host as a tar file over a serial port. It judges nothing: results are
# truths, spans, output and exit statuses, one folder a trial, and the host compares them. Run by guest.py; never on a machine that is used for something else.
# From the kernel's command line: $results, the serial port, and $patience, how many times as long as written here anything may take.
export PATH=/bin HOME=/

if [ ! -e /started ]; then
	# Root is the initramfs, which pivot_root(2) refuses to leave: a machine that is in use has another root.
	/bin/busybox mkdir /root.new
	/bin/busybox mount -t tmpfs -o mode=0755 root /root.new
	/bin/busybox cp -a /bin /etc /init /lib /lib64 /usr /root.new 2>/dev/null
	/bin/busybox touch /root.new/started
	exec /bin/busybox switch_root /root.new /init
fi

/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /results
chmod 1777 /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ip link set lo up
for module in /lib/modules/*.ko; do
	[ ! -e "$module" ] || insmod "$module"
done
cd /results || exit

# await SECONDS COMMAND…: until it succeeds. Returns 1 when the time is over.
await() {
	local deadline=$(($(uptime_s) + $1 * patience))
	shift
	until "$@"; do
		[ "$(uptime_s)" -lt $deadline ] || return 1
		usleep 100000
	done
}
uptime_s() { cut -d. -f1 /proc/uptime; }
awaited=attached # what plumb says when a driver may begin
alive() { grep -qs '^State:.[^Z]' "/proc/$1/status"; }
said_or_ended() { grep -qs "$1" "$2" || ! alive "$3"; }
# plumb writes one span a line.
spans_or_ended() { [ "$(grep -c "$2" "$1")" -ge "$3" ] || ! alive "$4"; }

# trial NAME PATTERN COUNTS DRIVER PREFIX OPTION…: plumb, run by PREFIX, watches a driver that begins its work once plumb is
# attached. For each of COUNTS the driver is told to go on, and plumb's output must then come to have so many lines with PATTERN
# (or 60 s pass: the host finds what is missing); so no more is under way than the rings hold, however slow the emulation. COUNTS,
# DRIVER and PREFIX are words in one argument.
# Files: truth, driver.err, driver.status, spans, plumb.err, plumb.status, metrics.
trial() {
	local name=$1 pattern=$2 counts=$3 run=$4 prefix=$5 driver plumb count
	shift 5
	echo "guest: $name, $(uptime_s) s"
	mkdir -p "$name"
	mkfifo "$name/go"
	$run < "$name/go" > "$name/truth" 2> "$name/driver.err" &
	driver=$!
	exec 3> "$name/go"
	await 60 said_or_ended ready "$name/driver.err" $driver
	$prefix plumb trace $(sed -n 's/^ready//p' "$name/driver.err" | tr ' ' '\n' | sed -n 's/^[0-9]/-p &/p') \
		-d 1h --output otlp-json --metrics 127.0.0.1:9464 --set capture.ring_size=16MiB "$@" > "$name/spans" 2> "$name/plumb.err" &
	plumb=$!
	await 120 said_or_ended "$awaited" "$name/plumb.err" $plumb
	if grep -qs attached "$name/plumb.err"; then
		for count in $counts; do
			echo go >&3
			await 60 spans_or_ended "$name/spans" "$pattern" "$count" $plumb
		done
		exec 3>&-
		wait $driver
		echo $? > "$name/driver.status"
		wget -q -O "$name/metrics" http://127.0.0.1:9464/metrics
		kill -TERM $plumb
	else
		exec 3>&-
	fi
	wait $plumb
	echo $? > "$name/plumb.status"
	wait $driver
	rm "$name/go"
}

. /etc/trials
tar -c . | gzip -1 > /tmp/results.tgz
stty -F "/dev/$results" raw -echo
cat /tmp/results.tgz > "/dev/$results"
sync
reboot -f
