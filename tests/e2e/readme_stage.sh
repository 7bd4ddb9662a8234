#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# readme_stage.sh DIRECTORY COMMANDS: the incident that README.md walks through, for test_readme.py. Runs in mount and
# network namespaces of its own (unshare -mn), so that the names and paths in the README can be used as they stand: the
# pods front, cart and fix, /run/tapeloop, /var/lib/tapeloop. Then each line of the file COMMANDS is run as it is
# typed; before its output stands '@@ COMMAND', after it '@@ status N'.
set -u
dir=$1 commands=$2
mount -t tmpfs tmpfs /run/netns
for d in /run/tapeloop /var/lib/tapeloop; do
	mkdir -p "$d" && mount -t tmpfs tmpfs "$d"
done
pids=()
stop() { for pid in "${pids[@]}" $(jobs -p); do kill "$pid" 2>/dev/null; done; wait; }
trap stop EXIT

ip link set lo up
ip link add br0 type bridge && ip addr add 10.77.0.1/24 dev br0 && ip link set br0 up
n=2
for pod in cart fix front; do # 10.77.0.2, .3, .4
	ip netns add $pod
	ip link add v$pod type veth peer name eth0 netns $pod
	ip link set v$pod master br0 up
	ip -n $pod addr add 10.77.0.$n/24 dev eth0
	ip -n $pod link set eth0 up
	ip -n $pod link set lo up
	n=$((n + 1))
done
serve() { # serve POD 'locations'
	mkdir -p "$dir/$1"
	cat >"$dir/$1/nginx.conf" <<-TEXT
	pid $dir/$1/pid; error_log $dir/$1/error.log; daemon off; user root;
	events { }
	http { access_log off; default_type application/json;
	  $(for t in client_body proxy fastcgi uwsgi scgi; do echo "${t}_temp_path $dir/$1/$t;"; done)
	  server { listen 8080; $2 location / { return 200 '{"ok":true}'; } } }
	TEXT
	ip netns exec "$1" nginx -p "$dir/$1" -c "$dir/$1/nginx.conf" 2>"$dir/$1/stderr" &
	pids+=($!)
	for ((t = 0; t < 100; t++)); do
		ip netns exec "$1" curl -fs -o /dev/null http://127.0.0.1:8080/ && return
		sleep 0.05
	done
}
broken="location = /cart/13 { return 503 '{\"error\":\"unavailable\"}'; }"
serve cart "location = /cart/7 { return 500 '{\"error\":\"internal\",\"detail\":\"price of item 7 is null\"}'; } $broken location = /cart/21 { return 444; }"
serve fix "$broken"

incident() {
	for item in 1 7 13 21 7 8; do
		ip netns exec front curl -s -o /dev/null -H 'Authorization: Bearer c2VjcmV0LXRva2Vu' "http://10.77.0.2:8080/cart/$item?token=tk-5e3a91"
	done
}
cd "$dir" || exit 3
tcpdump --immediate-mode -i vcart -U -Z root -w yesterday.pcap tcp port 8080 2>tcpdump.log &
dump=$!
until grep -q 'listening on' tcpdump.log; do sleep 0.05; done
incident
sleep 0.5
kill -INT $dump
wait $dump

while IFS= read -r command; do
	echo "@@ $command"
	(exit "${status-0}") # for a command that asks for $?
	eval "$command"
	status=$?
	printf '\n@@ status %d\n' $status
	case $command in
	*'&')
		until [ -S /run/tapeloop/api.sock ] && tapeloop doctor >/dev/null 2>&1 || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
		incident
		for ((t = 0; t < 100; t++)); do
			[ "$(tapeloop ls -n 0 -o id 2>/dev/null | wc -l)" -ge 6 ] && break
			sleep 0.1
		done
		;;
	esac
done <"$commands"
