#!/bin/bash
# `GET /networks/bridge` tells no gateway on the start of the engine that makes the bridge. Programs
# that look there for "the address of the host as containers see it" find nothing on a fresh machine,
# and find it after the first restart of the engine, so that nobody who develops them ever sees it.
# The interface has its address all the while.
#
# Seen with Debian's docker.io 20.10.24+dfsg1-1+deb12u1 (bookworm):
#   first start:  subnet 172.17.0.0/16, gateway ''            address of docker0 172.17.0.1
#   second start: subnet 172.17.0.0/16, gateway '172.17.0.1'  address of docker0 172.17.0.1
#
# Fails when that changes. Needs root, iproute2, iptables and Debian's package lists; the engine runs
# from a folder of its own, in a network namespace of its own.
set -euo pipefail
work=$(mktemp -d); space=dbg$$; engine=''
cleanup() {
  [ -z "$engine" ] || { kill "$engine" 2>/dev/null; wait "$engine" 2>/dev/null; } || true
  ip netns del "$space" 2>/dev/null || true
  grep " $work/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l || true
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root docker.io containerd runc tini libdevmapper1.02.1 >/dev/null
version=$(dpkg-deb -f docker.io_*.deb Version)
case "$version" in 20.10.24*) ;; *) echo "another version: $version"; exit 1 ;; esac
for deb in *.deb; do dpkg-deb -x "$deb" root; done
export PATH="$work/root/usr/bin:$work/root/usr/sbin:$PATH" DOCKER_HOST="unix://$work/docker.sock"
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu:$work/root/lib/x86_64-linux-gnu"
echo "docker.io $version"
ip netns add "$space"
nsenter --net="/run/netns/$space" ip link set lo up

ask() { curl -sf --unix-socket "$work/docker.sock" http://engine/networks/bridge; }
start() {
  nsenter --net="/run/netns/$space" dockerd --data-root "$work/data" --exec-root "$work/exec" \
    --pidfile "$work/pid" -H "$DOCKER_HOST" >"$work/log" 2>&1 &
  engine=$!
  for _ in $(seq 100); do ask >/dev/null && return; sleep 0.3; done
  tail -5 "$work/log"; exit 1
}
tell() { # tell START WANTED_GATEWAY
  local gateway address
  gateway=$(ask | python3 -c 'import json, sys
for c in json.load(sys.stdin)["IPAM"]["Config"]: print(c.get("Gateway", ""))')
  address=$(nsenter --net="/run/netns/$space" ip -4 -o addr show docker0 | awk '{ sub("/.*", "", $4); print $4 }')
  echo "$1 start: gateway '$gateway', address of docker0 $address"
  [ "$gateway" = "$2" ] && [ "$address" = 172.17.0.1 ]
}
start; tell first ''
kill "$engine"; wait "$engine" 2>/dev/null || true
start; tell second 172.17.0.1
