#!/bin/bash
# Deploys the three-part demo application to a running tepui, asks it on both its roads and prints
# where it answers.
#
#   demo.sh TEPUI_PROGRAM DATA_DIR
set -euo pipefail
self=demo
cd "$(dirname "$0")/.."
. installer/common.sh
tepui=${1:?the tepui program} data_dir=${2:?the data directory of the running tepui}

if [ -z "${TEPUI_URL:-}" ]; then
  [ -r "$data_dir/client.env" ] || die "nothing runs on $data_dir; start it with 'make run' first"
  set -a
  # shellcheck source=/dev/null
  . "$data_dir/client.env"
  set +a
fi
installer/prepare.sh demo
installer/demo-images.sh
for part in redis web clock; do
  "$tepui" app deploy "config/demo/$part.yaml"
done

name=web-demo.marathon.mesos
dns_host=${TEPUI_DNS%:*} dns_port=${TEPUI_DNS##*:}
port=$("$tepui" task list --json | jq -r '[.[] | select(.app_id == "/demo/web")][0].ports[0]')

# answer COMMAND…: the first line of its output. A backend may still be on its way into the tables;
# one that does not answer after a while ends the demo with what it said.
answer() {
  local text
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if text=$("$@" 2>&1); then head -1 <<<"$text"; return; fi
    sleep 1
  done
  say "the demo was deployed, but this address does not answer:"
  say "  $(head -3 <<<"$text")"
  # What a task that answers with an error says of itself, and what the cluster knows.
  "$tepui" log /demo/web --lines 5 2>&1 | sed 's/^/  /' >&2 || true
  "$tepui" doctor 2>&1 | sed 's/^/  /' >&2 || true
  return 1
}

router() { curl -sSf -m 5 -H "Authorization: token=$TEPUI_TOKEN" "$TEPUI_URL/service/demo/"; }

by_name() {
  local address
  address=$(dig +short +time=2 "@$dns_host" -p "$dns_port" "$name" | head -1)
  curl -sSf -m 5 --resolve "$name:$port:$address" "http://$name:$port/"
}

by_router=$(answer router) || die "the road through the front door does not work (see above)"
by_dns=$(answer by_name) || die "the road by DNS name does not work (see above)"

cat <<TEXT

The demo runs. The commands below know address and token after
  set -a; . $data_dir/client.env; set +a

through the front door
  curl -H "Authorization: token=\$TEPUI_TOKEN" $TEPUI_URL/service/demo/
    $by_router
by its DNS name, as the cluster's DNS server tells it
  curl --resolve $name:$port:\$(dig +short @$dns_host -p $dns_port $name | head -1) http://$name:$port/
    $by_dns
on the page
  $TEPUI_URL/
scale it, look at it
  $tepui app scale /demo/web 5
  $tepui task list --app /demo/web
  $tepui log /demo/clock --follow
TEXT
