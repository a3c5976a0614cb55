#!/bin/bash
# A master and an agent of two builds, in both directions: this one, and one that writes a field more
# into apps and nodes and is one level further (feature `next`).
#
#   agents.sh THIS NEXT
#
# Two hosts in network namespaces (rig.sh). Needs root and Docker's programs. Ends with
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../../.."
this=$(realpath "${1:?the program of this build}") next=$(realpath "${2:?the program of the next}")
tepui=$this
. tests/machine/rig.sh
trap rig_down EXIT

# as BUILD HOST: the node goes on as another build, on what it has.
as() { end "${node[$2]}"; wait "${node[$2]}" 2>/dev/null; tepui=$1; node_start "$2"; }
level() { cli cluster show --json | jq -r .level; }
# says WORDS COMMAND…: it fails, with these words.
says() {
  local words=$1 said; shift
  if said=$("$@" 2>&1); then echo "it did not fail: $said"; return 1; fi
  grep -qF "$words" <<<"$said" || { echo "$said"; return 1; }
}
scale() { cli app scale /mixed/a "$1"; }
refuses() { grep -F "$2" "$work/$1/node.log"; }

rig_up 2 || exit 2
tepui=$next join 2 || exit 2
# The level of this build, at which it founds a cluster, and of the next.
low=$(level) high=$((low + 1))
check 'an agent of the next build joins a master of this one' within 30 nodes_active 2
cat >"$work/app.yaml" <<YAML
id: /mixed/a
cmd: "while :; do sleep 1; done"
cpus: 0.05
mem: 32
instances: 4
constraints: [[hostname, GROUP_BY]]
YAML
check 'an app is deployed' cli app deploy "$work/app.yaml"
check 'it runs on both' within 30 counts /mixed/a 4
before=$(running)

as "$next" 1
check 'the master goes on as the next build' within 60 nodes_active 2
as "$this" 2
check 'the agent goes on as this build' within 60 nodes_active 2
sleep 5
check 'no container has ended by it' test "$before" = "$(running)"
check 'an app is scaled' scale 6
check 'to six containers' within 30 counts /mixed/a 6
check 'the agent holds the level back, by its name' says 'is held back by node' cli cluster raise --yes
check 'the level is as before' test "$(level)" = "$low"

as "$next" 2
check 'the agent is upgraded' within 60 nodes_active 2
raises() { cli cluster raise --yes >/dev/null 2>&1; [ "$(level)" = "$high" ]; }
check 'the level is raised' within 20 raises
check 'an app is scaled after it' scale 4
check 'to four containers' within 30 counts /mixed/a 4

as "$this" 2
check 'an agent of this build is refused and told why' \
  within 30 refuses 2 "can do level $low, this cluster is at level $high: upgrade tepui there"
as "$next" 2
check 'upgraded again it is let in' within 60 nodes_active 2
end "${node[1]}"; wait "${node[1]}" 2>/dev/null
check 'a master of this build does not start on the store, and says why' \
  says "the cluster is at level $high, this release" on 1 timeout 60 "$this" node --config "$work/1/node.yaml"
tepui=$next node_start 1
check 'the next build does' within 60 nodes_active 2
check 'four containers still run' within 30 counts /mixed/a 4
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
