#!/bin/sh
# Installs the programs the benchmarks compare with, from Debian, and nothing else.
# Usage: peers.sh PACKAGE...   Prints one line a package: "PACKAGE ok" or "PACKAGE missing REASON".
# Services of freshly installed packages are kept from starting; the benchmarks run their own.
set -u
[ "$(id -u)" = 0 ] || { for p; do dpkg -s "$p" >/dev/null 2>&1 && echo "$p ok" || echo "$p missing needs root to install"; done; exit 0; }
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT INT TERM
log=$(mktemp)
updated=
for p; do
    if dpkg -s "$p" >/dev/null 2>&1; then echo "$p ok"; continue; fi
    if [ -z "$updated" ]; then apt-get update >"$log" 2>&1; updated=1; fi
    if DEBIAN_FRONTEND=noninteractive timeout 240 apt-get install -y --no-install-recommends "$p" >"$log" 2>&1 </dev/null; then
        echo "$p ok"
    else
        echo "$p missing $(grep -m1 '^E:' "$log" || tail -n1 "$log")"
    fi
done
rm -f "$log"
