#!/bin/bash
# A machine where Docker never ran: an engine with an empty data directory in a network namespace of
# its own, so that its first start makes its bridge. The demo has to answer on both its roads on that
# first start, and after engine and tepui were started again in any order.
#
#   first-start.sh TEPUI_PROGRAM
#
# Needs root, Docker's programs and what `make demo` needs; touches no other engine. Ends with
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
tepui=$(realpath "${1:?the tepui program}")
work=$(mktemp -d /tmp/tepui-first.XXXXXX)
space=tf$$
passed=0 failed=0
engine='' node=''

check() { # check WHAT COMMAND…
  local what=$1; shift
  if "$@" >"$work/last" 2>&1; then
    passed=$((passed + 1)); echo "ok: $what"
  else
    failed=$((failed + 1)); echo "FAILED: $what"; tail -15 "$work/last" | sed 's/^/    /'
  fi
}
inside() { nsenter --net="/run/netns/$space" "$@"; }
# In the background its process number is the program's own.
exec_inside() { exec nsenter --net="/run/netns/$space" "$@"; }
export DOCKER_HOST=unix://$work/docker.sock

engine_start() {
  exec_inside dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
    -H "$DOCKER_HOST" --containerd-namespace "$space" --containerd-plugins-namespace "p$space" \
    >>"$work/dockerd.log" 2>&1 &
  engine=$!
}
engine_wait() { for _ in $(seq 60); do docker info >/dev/null 2>&1 && return 0; sleep 0.5; done; return 1; }
end() { # end PID
  [ -n "$1" ] || return 0
  kill -TERM "$1" 2>/dev/null
  for _ in $(seq 40); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.5; done
  kill -KILL "$1" 2>/dev/null
}
node_start() {
  TEPUI_DOCKER="$work/docker.sock" exec_inside "$tepui" dev --data-dir "$work/node" \
    >>"$work/node.log" 2>&1 &
  node=$!
}
node_wait() { for _ in $(seq 60); do [ -s "$work/node/client.env" ] && status && return 0; sleep 0.5; done; return 1; }
status() { (set -a; . "$work/node/client.env"; inside "$tepui" status) >/dev/null 2>&1; }
demo() { inside installer/demo.sh "$tepui" "$work/node"; }
roads() { # both roads of the demo again, and a neighbour's name inside a container
  (set -a; . "$work/node/client.env"
   for _ in $(seq 60); do
     inside curl -sSf -m 5 -H "Authorization: token=$TEPUI_TOKEN" "$TEPUI_URL/service/demo/" && return 0
     sleep 1
   done; return 1)
}
neighbour() {
  local id
  for _ in $(seq 30); do
    id=$(docker ps -q --filter ancestor=tepui-demo/web:1 | head -1)
    [ -n "$id" ] && docker exec "$id" /usr/bin/python3.11 -c \
      'import socket; print(socket.gethostbyname("redis-demo.marathon.mesos"))' && return 0
    sleep 1
  done
  docker inspect "$id" -f '{{.HostConfig.Dns}}'; return 1
}
cleanup() {
  end "$node"
  docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1
  end "$engine"
  ip netns del "$space" 2>/dev/null
  if [ "$failed" = 0 ] && [ -z "${KEEP:-}" ]; then
    grep " $work/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l 2>/dev/null
    rm -rf "$work"
  else
    echo "kept: $work"
  fi
}
trap cleanup EXIT

ip netns add "$space" && inside ip link set lo up || exit 2

echo "== tepui first, then the first start of the engine"
node_start
check 'tepui starts without an engine and says what is away' \
  sh -c "for i in \$(seq 40); do grep -q 'Docker does not answer' $work/node.log && exit 0; sleep 0.5; done; cat $work/node.log; exit 1"
engine_start
check 'the engine starts' engine_wait
check 'it has made its bridge just now' inside ip addr show docker0
echo "   gateway the engine tells: '$(docker network inspect bridge -f '{{range .IPAM.Config}}{{.Gateway}}{{end}}')'"
check 'the images of the demo are made' installer/demo-images.sh
check 'tepui answers' node_wait
check 'the demo answers on both roads' demo
check 'a container resolves its neighbour' neighbour

echo "== the engine is started again under a running tepui"
end "$engine"; engine_start
check 'the engine starts' engine_wait
check 'the front door answers' roads
check 'a container resolves its neighbour' neighbour

echo "== tepui is started while the engine is away"
end "$node"; end "$engine"
rm -f "$work/node/client.env"
node_start; sleep 3; engine_start
check 'the engine starts' engine_wait
check 'tepui answers' node_wait
check 'the front door answers' roads
check 'a container resolves its neighbour' neighbour

echo "== tepui is started again beside a running engine"
end "$node"; rm -f "$work/node/client.env"; node_start
check 'tepui answers' node_wait
check 'the front door answers' roads
check 'a container resolves its neighbour' neighbour

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
