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

# answer COMMAND…: its first line; an error, while a backend may still be on its way into the tables.
answer() {
  local text
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if text=$("$@" 2>&1); then break; fi
    sleep 1
  done
  head -1 <<<"$text"
}

router() { curl -sSf -m 5 -H "Authorization: token=$TEPUI_TOKEN" "$TEPUI_URL/service/demo/"; }

by_name() {
  local address
  address=$(dig +short +time=2 "@$dns_host" -p "$dns_port" "$name" | head -1)
  curl -sSf -m 5 --resolve "$name:$port:$address" "http://$name:$port/"
}

cat <<TEXT

The demo runs. The commands below know address and token after
  set -a; . $data_dir/client.env; set +a

through the front door
  curl -H "Authorization: token=\$TEPUI_TOKEN" $TEPUI_URL/service/demo/
    $(answer router)
by its DNS name, as the cluster's DNS server tells it
  curl --resolve $name:$port:\$(dig +short @$dns_host -p $dns_port $name | head -1) http://$name:$port/
    $(answer by_name)
on the page
  $TEPUI_URL/
scale it, look at it
  $tepui app scale /demo/web 5
  $tepui task list --app /demo/web
  $tepui log /demo/clock --follow
TEXT
