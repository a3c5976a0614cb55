# What the installer's scripts share: messages, root, Debian packages, versions. Sourced, not run.
#
# A script sets `self` to the word its messages begin with.
# shellcheck shell=bash
: "${self:=installer}"

say() { printf '%s: %s\n' "$self" "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND…: runs it as root, or ends with what it was needed for.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else die "root is needed for: $*"
  fi
}

# version_at_least HAVE WANTED
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# Fetches Debian's package lists when there are none from the last day.
apt_lists() {
  [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -1440 2>/dev/null | head -1)" ] || return 0
  as_root apt-get update -qq || die "apt-get update failed: Debian's package lists could not be fetched"
}

# candidate PACKAGE: the version apt would install; nothing when it knows none.
candidate() {
  apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(].*\)/\1/p'
}

# apt PACKAGE…: installs those that are missing, saying so first.
apt() {
  local missing=() log
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "please install: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  apt_lists
  log=$(mktemp)
  # A package's service must not start by itself: tests start their own on free ports.
  if ! as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    { grep -E '^(E|W): ' "$log" || tail -5 "$log"; } | head -5 >&2
    die "apt-get could not install ${missing[*]}; its full output is in $log"
  fi
  rm -f "$log"
}
