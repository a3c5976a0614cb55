#!/bin/bash
# Two nodes for half an hour: changes by the command line all the time, and a fault every few seconds
# (processes stopped and killed, clocks stepped, engines killed, containers ended from outside). After
# each quarter minute of faults the cluster gets time to rest; then what runs has to be exactly what is
# wanted, on every road that tells it.
#
#   soak.sh TEPUI_PROGRAM [MINUTES] [SEED]
#
# Needs what pauses.sh needs. The same seed makes the same choices. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
tepui=$(realpath "${1:?the tepui program}")
minutes=${2:-30}
RANDOM=${3:-7}
RIG_CLOCKS=1
[ -n "$(find /usr/lib -name libfaketimeMT.so.1 2>/dev/null)" ] || RIG_CLOCKS=
. tests/machine/rig.sh
trap rig_down EXIT
echo "soak: $minutes minutes, seed ${3:-7}"

rig_up 2 && join 2 || exit 2
within 30 nodes_active 2 || bad 'both nodes are active at the start'

# What is wanted, by app; 0 instances is an app that is there and suspended.
declare -A wanted=()
apps=(/soak/plain /soak/web /soak/slow /soak/late)
define() { # define APP INSTANCES: a version of its own each time
  local file=$work/app.yaml cmd='while :; do sleep 1; done' more=''
  case $1 in
    */web) cmd='busybox httpd -f -p $PORT0 -h /etc'
      more='healthChecks: [{protocol: HTTP, path: /hostname, intervalSeconds: 2, gracePeriodSeconds: 20, timeoutSeconds: 5}]' ;;
    */slow) cmd='trap "sleep 1; exit 0" TERM; while :; do sleep 0.2; done' ;;
  esac
  cat >"$file" <<YAML
id: $1
cmd: '$cmd'
cpus: 0.02
mem: 32
instances: $2
env: {ROUND: "$RANDOM"}
upgradeStrategy: {minimumHealthCapacity: 0.5}
backoffSeconds: 1
maxLaunchDelaySeconds: 5
portDefinitions: [{port: 0}]
$more
YAML
  # Without --no-wait the command would wait through the faults that follow.
  cli app deploy "$file" --no-wait --force >>"$work/cli.log" 2>&1 && wanted[$1]=$2
}
pick() { local -n of=$1; echo "${of[$((RANDOM % ${#of[@]}))]}"; }

change() {
  local app n=$((RANDOM % 6))
  app=$(pick apps)
  case $((RANDOM % 6)) in
    0 | 1) define "$app" "$n" ;;
    2 | 3) [ -n "${wanted[$app]:-}" ] && cli app scale "$app" "$n" --no-wait --force >>"$work/cli.log" 2>&1 && wanted[$app]=$n ;;
    4) [ -n "${wanted[$app]:-}" ] && cli app restart "$app" --no-wait --force >>"$work/cli.log" 2>&1 ;;
    5) [ -n "${wanted[$app]:-}" ] && cli app remove "$app" --yes --no-wait --force >>"$work/cli.log" 2>&1 && unset "wanted[$app]" ;;
  esac
  true
}
clock() { for i in 1 2; do echo "$1" >"$work/$i/clock.new"; mv "$work/$i/clock.new" "$work/$i/clock"; done; }
fault() {
  local host=$((RANDOM % 2 + 1)) id
  case $((RANDOM % 8)) in
    0) echo "   host $host stands still"; kill -STOP "${node[$host]}"; sleep $((RANDOM % 8 + 1)); kill -CONT "${node[$host]}" ;;
    1) echo "   host $host is killed"; kill -KILL "${node[$host]}"; wait "${node[$host]}" 2>/dev/null; sleep $((RANDOM % 6)); node_start "$host" ;;
    2) echo "   host $host is restarted"; end "${node[$host]}"; node_start "$host" ;;
    3) [ -n "$RIG_CLOCKS" ] && { id=$(((RANDOM % 2 * 2 - 1) * (RANDOM % 3600 + 5))); echo "   clocks step by $id s"; clock "$(printf '%+d' $id)"; sleep 3; clock +0; } ;;
    4) echo "   the engine of host $host is killed"; kill -KILL "${engine[$host]}"; wait "${engine[$host]}" 2>/dev/null
      sleep $((RANDOM % 4)); engine_back "$host" ;;
    5) id=$(running_on "$host" | shuf -n1 --random-source=<(yes "$RANDOM") | cut -d' ' -f2)
      [ -n "$id" ] && { echo "   a container of host $host is killed"; docker_on "$host" kill "$id" >/dev/null 2>&1; } ;;
    6) id=$(running_on "$host" | shuf -n1 --random-source=<(yes "$RANDOM") | cut -d' ' -f2)
      [ -n "$id" ] && { echo "   a container of host $host is restarted from outside"; docker_on "$host" restart -t 1 "$id" >/dev/null 2>&1; } ;;
    7) echo "   host $((host)) is cut off"; on "$host" ip link set eth0 down; sleep $((RANDOM % 10 + 1)); on "$host" ip link set eth0 up
      on "$host" ip route add default via "$net.254" 2>/dev/null ;;
  esac
  true
}
all_right() {
  local app
  nodes_active 2 || return 1
  [ "$(cli deployment list --json 2>/dev/null | jq length)" = 0 ] || return 1
  for app in "${apps[@]}"; do
    if [ -n "${wanted[$app]:-}" ]; then counts "$app" "${wanted[$app]}" || return 1
    else local safe=${app#/}; ! running | grep -q "^${safe//\//_}\.instance-" || return 1; fi
  done
}
account() {
  for app in "${apps[@]}"; do echo "    $app: wanted ${wanted[$app]:-none}, containers $(running | grep -c "^$(echo "${app#/}" | tr / _)\.instance-")"; done
  cli node list | sed 's/^/    /'; cli app list | sed 's/^/    /'; cli deployment list | sed 's/^/    /'
}

end_at=$((SECONDS + minutes * 60)) round=0
while [ $SECONDS -lt $end_at ]; do
  round=$((round + 1))
  until_at=$((SECONDS + 15))
  while [ $SECONDS -lt $until_at ]; do
    change
    [ $((RANDOM % 3)) = 0 ] && fault
    sleep 0.$((RANDOM % 10))
  done
  began=$SECONDS
  if within 60 all_right; then ok "round $round: at rest after $((SECONDS - began)) s"
  else bad "round $round: not as wanted after 60 s of rest"; account; fi
done
echo "memory of the masters and agents: $(for i in 1 2; do awk '/VmRSS/ {printf "%d MB ", $2/1024}' "/proc/${node[$i]}/status"; done)"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
