#!/bin/bash
# The page in a browser at length: whole tasks of an operator, logs, the map, every screen in German.
#
#   pages.sh TEPUI_PROGRAM [SCRIPT…]
#
# A system of its own on free ports, then the scripts of tests/browser one after the other, those of CI
# not among them unless they are named. Needs Docker, chromium and `npm ci` in ui/ with the page built.
# TEPUI_MANY is how many instances are stopped together (200). Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
tepui=$(realpath "${1:?the tepui program}"); shift
scripts=("$@")
[ $# -gt 0 ] || scripts=(tasks.mjs logs.mjs map.mjs german.mjs)
work=$(mktemp -d /tmp/tepui-pages.XXXXXX)
passed=0 failed=0

"$tepui" dev --data-dir "$work/data" --router-port 0 --dns-port 0 --destroy-on-exit >"$work/out" 2>"$work/log" &
node=$!
finish() {
  kill -TERM "$node" 2>/dev/null
  wait "$node" 2>/dev/null
  if [ $failed = 0 ]; then rm -rf "$work"; else echo "outputs are in $work"; fi
}
trap finish EXIT
for _ in $(seq 150); do
  url=$(sed -n 's/^tepui is ready  \([^ ]*\) .*/\1/p' "$work/out")
  [ -n "$url" ] && break
  kill -0 "$node" 2>/dev/null || { tail -5 "$work/log"; exit 1; }
  sleep 0.2
done
export TEPUI_URL=${url:?the system is not ready after 30 s} TEPUI_USER=admin TEPUI_MANY=${TEPUI_MANY:-200}
TEPUI_PASSWORD=$(cat "$work/data/initial-password")
export TEPUI_PASSWORD

for script in "${scripts[@]}"; do
  start=$SECONDS
  # Those of a made-up cluster have a password of their own.
  own=()
  case $script in map.mjs | german.mjs) own=(env -u TEPUI_PASSWORD) ;; esac
  if timeout 900 "${own[@]}" node "tests/browser/$script" >"$work/$script.log" 2>&1; then
    passed=$((passed + 1)); echo "ok: $script ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1)); echo "FAILED: $script"; grep -A6 '^FAIL' "$work/$script.log" | head -40 | sed 's/^/    /'
  fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
