#!/bin/bash
# What a machine goes through on an ordinary day: its processes stand still, its clock is set, an agent
# or an engine is away for a while. No healthy container may end by it, no count may be wrong ten
# seconds later, and every node has to be active again.
#
#   pauses.sh TEPUI_PROGRAM [ROUNDS]
#
# Two hosts in network namespaces (rig.sh), 5 rounds if nothing else is said. Needs root and Docker's
# programs; clock steps need libfaketime and are said to be left out without it. Ends with
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
tepui=$(realpath "${1:?the tepui program}")
rounds=${2:-5}
RIG_CLOCKS=1
[ -n "$(find /usr/lib -name libfaketimeMT.so.1 2>/dev/null)" ] || { RIG_CLOCKS=; echo "no libfaketime: no clock steps"; }
. tests/machine/rig.sh
trap rig_down EXIT

rig_up 2 || exit 2
# The leader is old when the second node joins: what is new must not be taken for lost.
sleep 8
join 2 || exit 2
check 'a node that joins an older leader is active' within 20 nodes_active 2
cat >"$work/app.yaml" <<YAML
id: /day/a
cmd: "while :; do sleep 1; done"
cpus: 0.05
mem: 32
instances: 6
YAML
check 'the app runs' cli app deploy "$work/app.yaml"
check 'six containers' within 20 counts /day/a 6

names=$(names_on 2 a-day.marathon.mesos)
check 'containers on host 2 find the app' test -n "$names"

# same WHAT COMMAND…: does it, and looks ten seconds later whether all is as before.
same() {
  local what=$1 before after; shift
  before=$(running)
  "$@"
  sleep 10
  after=$(running)
  if [ "$before" != "$after" ]; then
    bad "$what: containers changed"; diff <(echo "$before") <(echo "$after") | sed 's/^/    /'
  elif ! counts /day/a 6; then bad "$what: the count is wrong"; cli app list | sed 's/^/    /'
  elif ! nodes_active 2; then bad "$what: a node is not active"; cli node list | sed 's/^/    /'
  else ok "$what"; fi
  # The next trial starts from rest.
  within 60 counts /day/a 6 && within 60 nodes_active 2 || bad "$what: not at rest a minute later"
}
# While the only master stands still, containers on the other host find what they found before.
pause() {
  kill -STOP "${node[$1]}"
  sleep "$2"
  if [ "$1" = 1 ] && [ "$(names_on 2 a-day.marathon.mesos)" != "$names" ]; then bad "no names for $2 s"; fi
  kill -CONT "${node[$1]}"
}
clock() { for i in 1 2; do echo "$1" >"$work/$i/clock.new"; mv "$work/$i/clock.new" "$work/$i/clock"; done; }
step() { clock "$1"; sleep 8; clock +0; }
away() { kill -KILL "${node[$1]}"; wait "${node[$1]}" 2>/dev/null; sleep "$2"; node_start "$1"; sleep 3; }
engine_killed() { kill -KILL "${engine[$1]}"; wait "${engine[$1]}" 2>/dev/null; sleep 5; engine_back "$1"; }

for round in $(seq "$rounds"); do
  for s in 4 7 20 60; do
    same "round $round: the master's process stopped for $s s" pause 1 "$s"
    same "round $round: the agent's process stopped for $s s" pause 2 "$s"
  done
  if [ -n "$RIG_CLOCKS" ]; then
    for by in +6 -6 +3600 -3600; do same "round $round: clocks stepped by $by s and back" step "$by"; done
  fi
  for s in 1 4 10 60; do same "round $round: the agent away for $s s" away 2 "$s"; done
  same "round $round: the engine of host 2 killed" engine_killed 2
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
