# Several hosts on one machine: a network namespace each on a bridge of its own, and in each an engine
# and a tepui. Sourced, not run.
#
# The caller sets `tepui` to the program; `rig_up N` makes hosts 1 to N, `rig_down` removes them and
# everything that ran in them. Host 1 is master and agent, the others are agents.
# shellcheck shell=bash
: "${tepui:?the program}"
work=$(mktemp -d /tmp/tepui-rig.XXXXXX)
rig=r$(($$ % 10000))
net=10.213.$(($$ % 200 + 10))
hosts=0
declare -A engine=() node=()
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "ok: $*"; }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }
check() { # check WHAT COMMAND…
  local what=$1; shift
  if "$@" >"$work/last" 2>&1; then ok "$what"; else bad "$what"; tail -15 "$work/last" | sed 's/^/    /'; fi
}
# within SECONDS COMMAND…: until it holds.
within() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.3; done
}

on() { local i=$1; shift; nsenter --net="/run/netns/$rig-$i" "$@"; }
# In the background its process number is the program's own.
exec_on() { local i=$1; shift; exec nsenter --net="/run/netns/$rig-$i" "$@"; }
docker_on() { local i=$1; shift; DOCKER_HOST=unix://$work/$i/docker.sock docker "$@"; }

engine_start() { # engine_start HOST
  local dir=$work/$1
  exec_on "$1" dockerd --data-root "$dir/docker" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
    -H "unix://$dir/docker.sock" --live-restore >>"$dir/dockerd.log" 2>&1 &
  engine[$1]=$!
}
# After a kill, as a service manager does it: again until it stays. An engine whose containerd was just
# killed with it may give up its own start.
engine_back() { # engine_back HOST
  local try
  for try in 1 2 3 4; do
    rm -f "$work/$1/docker.pid"
    engine_start "$1"
    within 40 sh -c "[ -S '$work/$1/docker.sock' ] && DOCKER_HOST=unix://$work/$1/docker.sock docker info >/dev/null 2>&1 || ! kill -0 ${engine[$1]} 2>/dev/null"
    if engine_answers "$1"; then return; fi
    end "${engine[$1]}"; wait "${engine[$1]}" 2>/dev/null
  done
  bad "the engine of host $1 does not come back"
}
engine_answers() { docker_on "$1" info >/dev/null 2>&1; }
# Where a clock's offset is set, tepui runs with it; the monotonic clock goes on as it is.
faketime=$(find /usr/lib -name libfaketimeMT.so.1 2>/dev/null | head -1)
node_start() { # node_start HOST
  local dir=$work/$1 env=()
  if [ -f "$dir/clock" ]; then
    env=(LD_PRELOAD="$faketime" FAKETIME_TIMESTAMP_FILE="$dir/clock" FAKETIME_NO_CACHE=1
      FAKETIME_DONT_FAKE_MONOTONIC=1)
  fi
  exec_on "$1" env "${env[@]}" "$tepui" node --config "$dir/node.yaml" >>"$dir/node.log" 2>&1 &
  node[$1]=$!
}
end() { # end PID [SECONDS]: TERM, then KILL
  [ -n "${1:-}" ] || return 0
  kill -CONT "$1" 2>/dev/null; kill -TERM "$1" 2>/dev/null
  within "${2:-20}" sh -c "! kill -0 $1 2>/dev/null" || kill -KILL "$1" 2>/dev/null
}
# The command line, as on the master.
cli() { (set -a; . "$work/1/data/client.env"; on 1 "$tepui" "$@"); }
nodes_active() { [ "$(cli node list --json 2>/dev/null | jq '[.[] | select(.condition == "active")] | length')" = "$1" ]; }

rig_up() { # rig_up N
  modprobe -q br_netfilter 2>/dev/null || true
  ip link add "$rig" type bridge && ip addr add "$net.254/24" dev "$rig" && ip link set "$rig" up
  iptables -I FORWARD -i "$rig" -o "$rig" -j ACCEPT
  for hosts in $(seq "$1"); do
    mkdir -p "$work/$hosts"
    ip netns add "$rig-$hosts"
    ip link add "$rig-v$hosts" type veth peer name eth0 netns "$rig-$hosts"
    ip link set "$rig-v$hosts" master "$rig" up
    on "$hosts" ip link set lo up
    on "$hosts" ip addr add "$net.$hosts/24" dev eth0
    on "$hosts" ip link set eth0 up
    on "$hosts" ip route add default via "$net.254"
    [ -n "${RIG_CLOCKS:-}" ] && echo '+0' >"$work/$hosts/clock"
    engine_start "$hosts"
  done
  for i in $(seq "$hosts"); do within 60 engine_answers "$i" || { echo "no engine on host $i"; return 1; }; done
  cat >"$work/1/node.yaml" <<YAML
roles: [master, agent]
hostname: host-1
address: $net.1
data_dir: $work/1/data
docker: $work/1/docker.sock
cpus: 8
YAML
  node_start 1
  within 60 cli status >/dev/null 2>&1 || { echo "the master does not answer"; tail -5 "$work/1/node.log"; return 1; }
}

join() { # join HOST: with an invitation of its own
  local invite
  invite=$(cli node invite --json) || return 1
  cat >"$work/$1/node.yaml" <<YAML
roles: [agent]
hostname: host-$1
address: $net.$1
data_dir: $work/$1/data
docker: $work/$1/docker.sock
cpus: 8
masters: [$(jq -r .master <<<"$invite")]
join_token: $(jq -r .token <<<"$invite")
YAML
  node_start "$1"
}

rig_down() {
  for i in $(seq "$hosts"); do end "${node[$i]:-}"; done
  for i in $(seq "$hosts"); do
    docker_on "$i" ps -aq 2>/dev/null | DOCKER_HOST=unix://$work/$i/docker.sock xargs -r docker rm -f >/dev/null 2>&1
    end "${engine[$i]:-}"
    ip netns del "$rig-$i" 2>/dev/null
  done
  iptables -D FORWARD -i "$rig" -o "$rig" -j ACCEPT 2>/dev/null
  ip link del "$rig" 2>/dev/null
  grep " $work/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l 2>/dev/null
  if [ "$failed" = 0 ] && [ -z "${KEEP:-}" ]; then rm -rf "$work"; else echo "kept: $work"; fi
}

# The addresses a container on a host gets for a name, sorted: its name server is at the engine's bridge.
names_on() { # names_on HOST NAME
  local bridge
  bridge=$(on "$1" ip -4 -o addr show docker0 | awk '{sub("/.*", "", $4); print $4; exit}')
  on "$1" dig +short +time=1 +tries=2 "@$bridge" "$2" | sort
}
# Containers of tasks that run on a host: instance and container, a line each.
running_on() { docker_on "$1" ps --filter label=tepui.instance --format '{{.Label "tepui.instance"}} {{.ID}}' 2>/dev/null; }
running() { for i in $(seq "$hosts"); do running_on "$i"; done | sort; }
# Whether exactly N containers of an app (by its path with _ for /) run, and the cluster says so too.
counts() { # counts APP_ID N
  local safe=${1#/}; safe=${safe//\//_}
  [ "$(running | grep -c "^$safe\.instance-")" = "$2" ] \
    && [ "$(cli app list --json 2>/dev/null | jq --arg id "$1" '.[] | select(.id == $id) | .instances.running')" = "$2" ]
}
