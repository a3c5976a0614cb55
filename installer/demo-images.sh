#!/bin/bash
# Makes the demo's two images from Debian's packages, without a registry: downloads the packages,
# unpacks them into a root directory and imports that into Docker.
#
#   demo-images.sh        makes tepui-demo/redis:1 and tepui-demo/web:1 where they are missing
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

say() { printf 'demo: %s\n' "$*" >&2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# closure PACKAGE…: the packages and the libraries they need, without what only an installed system
# wants (init scripts, configuration tools).
closure() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "$@" | grep '^[a-z0-9]' | sort -u \
    | grep -Ev '^(debconf|cdebconf|perl|lsb-|sysvinit|init-system|dpkg|tar|adduser|passwd|login|libpam|libaudit|sensible|media-types|netbase|tzdata|systemd|libsystemd-shared|libdevmapper|dmsetup|gcc-12-base)' \
    | xargs apt-cache show --no-all-versions 2>/dev/null | sed -n 's/^Package: //p' | sort -u
}

# root NAME PACKAGE…: unpacks the packages into $work/NAME
root() {
  local name=$1; shift
  mkdir -p "$work/$name" "$work/debs-$name"
  # Downloading as the unprivileged user of apt would need a directory it can write.
  (cd "$work/debs-$name" && closure "$@" | xargs apt-get download -qq -o APT::Sandbox::User=root)
  for deb in "$work/debs-$name"/*.deb; do dpkg-deb -x "$deb" "$work/$name"; done
  rm -rf "$work/$name"/usr/share/{doc,man,locale,info,lintian}
  mkdir -p "$work/$name"/{tmp,proc,sys,dev,etc}
  chmod 1777 "$work/$name/tmp"
  printf 'root:x:0:0:root:/:/bin/sh\n' >"$work/$name/etc/passwd"
  printf 'root:x:0:\n' >"$work/$name/etc/group"
}

import() { tar -C "$work/$1" -c . | docker import - "tepui-demo/$1:1" >/dev/null; }

have() { docker image inspect "tepui-demo/$1:1" >/dev/null 2>&1; }

if ! have redis; then
  say "making the image tepui-demo/redis from Debian's redis-server"
  root redis redis-server busybox-static
  import redis
fi
if ! have web; then
  say "making the image tepui-demo/web from Debian's python3"
  root web python3.11-minimal libpython3.11-stdlib busybox-static
  mkdir -p "$work/web/app"
  cp "$here/config/demo/web.py" "$work/web/app/"
  import web
fi
