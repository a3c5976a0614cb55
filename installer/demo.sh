#!/bin/bash
# Deploys the three-part demo application to a running tepui and prints where it answers.
#
#   demo.sh TEPUI_PROGRAM DATA_DIR
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
tepui=${1:?the tepui program} data_dir=${2:?the data directory of the running tepui}

die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

if [ -z "${TEPUI_URL:-}" ]; then
  [ -r "$data_dir/client.env" ] || die "nothing runs on $data_dir; start it with 'make run' first"
  set -a
  . "$data_dir/client.env"
  set +a
fi
"$here/installer/demo-images.sh"
for part in redis web clock; do
  "$tepui" app deploy "$here/config/demo/$part.yaml"
done

dns_host=${TEPUI_DNS%:*} dns_port=${TEPUI_DNS##*:}
port=$("$tepui" task list --json | jq -r '[.[] | select(.app_id == "/demo/web")][0].ports[0]')
cat <<TEXT

The demo runs.
  through the front door   curl -H "Authorization: token=\$TEPUI_TOKEN" $TEPUI_URL/service/demo/
  by its DNS name          curl http://web-demo.marathon.mesos:$port/
                           (ask the cluster's DNS: dig @$dns_host -p $dns_port web-demo.marathon.mesos)
  on the page              $TEPUI_URL/
  scale it                 $tepui app scale /demo/web 5
  its clock                $tepui log /demo/clock --follow
(the variables are in $data_dir/client.env)
TEXT
