#!/bin/sh
# Gathers what goes into an archive beside the program, for machines without a network.
#
#   offline.sh docker DIR             Docker's packages of this Debian, with all they need on a bare one
#   offline.sh images DIR IMAGE…      images of this machine's Docker
set -eu
what=${1:?docker or images} dir=${2:?where it goes}
shift 2
mkdir -p "$dir"

# All that might be needed on a bare one. Of alternatives all are there: apt chooses on the machine.
closure() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances "$@" | grep '^[a-z0-9]' | sort -u \
    | xargs apt-cache show --no-all-versions 2>/dev/null | sed -n 's/^Package: //p' | sort -u
}

# file_of NAME: as apt-get has called it, with the epoch of the version.
file_of() {
  package=${1%%_*} rest=${1#*_}
  for file in "${package}"_*"$rest"; do basename "$file"; done
}

case $what in
  docker)
    cd "$dir"
    closure docker.io iptables >packages
    xargs apt-get download -qq -o APT::Sandbox::User=root <packages
    # A repository needs their list; apt compares sizes and sums by it.
    xargs apt-cache show --no-all-versions <packages | while IFS= read -r line; do
      case $line in
        Filename:*) printf 'Filename: ./%s\n' "$(file_of "${line##*/}")" ;;
        *) printf '%s\n' "$line" ;;
      esac
    done >Packages
    rm packages
    ;;
  images)
    for image; do
      docker save --output "$dir/$(printf '%s' "$image" | tr '/:@' '___').tar" "$image"
    done
    ;;
  *) echo "offline.sh: $what is neither docker nor images" >&2; exit 2 ;;
esac
