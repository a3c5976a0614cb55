#!/bin/bash
# tini (the init behind `docker run --init`) handles SIGTERM without catching it: it takes signals with
# sigtimedwait. SigCgt in /proc/PID/status, where "does this process handle SIGTERM?" is usually looked
# up, is therefore empty. It blocks the signal for that, but SigBlk does not show it either: the kernel
# unblocks what a process waits for by sigtimedwait for as long as it waits. By /proc/PID/status an init
# that forwards every signal looks like a process that does nothing about any; only /proc/PID/syscall
# (rt_sigtimedwait) tells.
#
# Seen with Debian's tini 0.19.0-1+b3 (bookworm), x86_64, Linux 6.18:
#   SigCgt of tini: SIGTERM not in it
#   SigBlk of tini: SIGTERM not in it
#   it waits in system call 128 (rt_sigtimedwait)
#   after `kill -TERM` the child got it, and tini ended with the child's own status, 42
#
# Fails when that changes. Needs Debian's package lists, and x86_64 for the number of the system call.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root tini >/dev/null
version=$(dpkg-deb -f tini_*.deb Version)
case "$version" in 0.19.0*) ;; *) echo "another version: $version"; exit 1 ;; esac
dpkg-deb -x tini_*.deb root
echo "tini $version"

cat >child.sh <<'SH'
trap 'echo "child: got SIGTERM"; exit 42' TERM
echo ready >ready
while :; do sleep 0.1; done
SH
root/usr/bin/tini -s -- bash child.sh >out 2>&1 &
pid=$!
for _ in $(seq 50); do [ -e ready ] && break; sleep 0.1; done

has_term() { # has_term FIELD: whether signal 15 is in the mask
  local mask; mask=$(sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status")
  (((16#$mask >> 14) & 1))
}
fail=0
for field in SigCgt SigBlk; do
  if has_term $field; then echo "$field of tini: SIGTERM in it (changed)"; fail=1
  else echo "$field of tini: SIGTERM not in it"; fi
done
# Once a second it wakes for a moment.
for _ in 1 2 3 4 5; do
  call=$(cut -d' ' -f1 "/proc/$pid/syscall")
  [ "$call" != 128 ] || break
  sleep 0.1
done
echo "it waits in system call $call"
[ "$call" = 128 ] || fail=1
kill -TERM "$pid"
status=0; wait "$pid" || status=$?
cat out
echo "tini ended with $status"
[ "$status" = 42 ] && grep -q 'got SIGTERM' out || fail=1
exit $fail
