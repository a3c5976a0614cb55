#!/bin/sh
# Installs tepui on this machine and starts it; takes it away again.
#
#   install.sh ROLE… [OPTION…]      master, agent, public-agent; two words are a node of both
#   install.sh --check [ROLE…]      looks at the machine, changes nothing
#   install.sh back                 goes back to the program that ran here before the last upgrade
#   install.sh uninstall [--purge]  --purge: its data, its containers and what was added for it too
#
#   --join ADDR[:PORT]      a master to join (repeat it, or commas); a master without makes a cluster
#   --token T               lets the node in; `tepui node invite` on a master makes one [TEPUI_JOIN_TOKEN]
#   --archive FILE          take everything from an archive made by `make archive`
#   --binary FILE           take this program
#   --set KEY=VALUE         a setting of the node (config/tepui.yaml lists them); repeat it
#   --settings FILE         lines of settings
#   --files DIR             files that go beside the settings, into /etc/tepui
#   --install-docker        install Docker where there is none: from the archive, else by apt-get
#   --ignore NAME           go on though this check (its second word) is bad; repeat it
#   --no-systemd            start it in the background, for machines without systemd
#   --no-start              put everything in place only
#   --checked               do not look at the machine again
#   --prefix DIR            below which the program goes (/usr/local)
#   --wait SECONDS          how long the node may take until it is ready (180)
#   --quiet                 say only what is bad
#
# Needs a POSIX shell and the usual tools of a system, nothing from a network. A second run with the same
# program changes nothing, with another one upgrades, and goes back by itself where the node does not come up
# with it; settings of a node that has joined are left alone. What was put where is listed in
# /etc/tepui/installed, which uninstall goes by. Programs lie below PREFIX/lib/tepui, the one that runs is
# what the link PREFIX/bin/tepui names.
set -eu
umask 022

LIST=/etc/tepui/installed
SETTINGS=/etc/tepui/tepui.yaml
ENVIRONMENT=/etc/default/tepui
PIDFILE=/run/tepui.pid
# So often in a row a node has to be well, five times a second: one that ends by itself does so at its start.
HEALTHY_LOOKS=10
# A program of a release without a word on its health has to do by being ready.
HEALTH_TOLD_S=10
UNIT=tepui.service
NOTE='# Given when this node was installed.'

say() { [ -n "$quiet" ] || printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
wrong() { printf 'install.sh: %s\n' "$*" >&2; exit 2; }
usage() { sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0"; }

# --- an archive brings its own installer, which goes on with the other arguments

# from_archive FILE ARGUMENT…
from_archive() {
  archive=$1
  shift
  [ -r "$archive" ] || die "the archive $archive cannot be read"
  unpacked=$(mktemp -d /var/tmp/tepui-archive.XXXXXX)
  trap 'rm -rf "$unpacked"' EXIT
  tar -xzf "$archive" -C "$unpacked" || die "$archive is no archive of tepui"
  for root in "$unpacked"/*; do :; done
  [ -f "$root/installer/install.sh" ] || die "$archive is no archive of tepui"
  (cd "$root" && sha256sum --check --quiet SHA256SUMS) || die "$archive is damaged"
  set +e
  sh "$root/installer/install.sh" "$@"
  code=$?
  exit "$code"
}

quiet='' archive='' n_left=$#
while [ "$n_left" -gt 0 ]; do
  if [ "$1" = --archive ]; then
    [ "$n_left" -gt 1 ] || wrong '--archive wants a file'
    archive=$2
    shift 2
    n_left=$((n_left - 2))
  else
    set -- "$@" "$1"
    shift
    n_left=$((n_left - 1))
  fi
done
[ -z "$archive" ] || from_archive "$archive" "$@"

here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
[ -f "$here/installer/preflight.sh" ] || wrong 'this file alone installs nothing: --archive FILE names the rest'
# shellcheck source=installer/preflight.sh
. "$here/installer/preflight.sh"

# --- the command line

roles='' join='' token=${TEPUI_JOIN_TOKEN:-} program='' given='' files='' install_docker='' ignored=''
prefix=/usr/local wait_s=180 action=install purge='' background='' no_start='' checked=''

give() { given="${given:+$given
}$1"; }

if [ $# = 0 ]; then
  usage
  exit 2
fi
while [ $# -gt 0 ]; do
  case $1 in
    --join | --token | --binary | --set | --settings | --files | --ignore | --prefix | --wait)
      [ $# -gt 1 ] || wrong "$1 wants a value"
      ;;
  esac
  case $1 in
    master | agent | public-agent) roles="${roles:+$roles, }$1" ;;
    uninstall) action=uninstall ;;
    back) action=back ;;
    --check) action=check ;;
    --purge) purge=yes ;;
    --join)
      for master in $(printf '%s' "$2" | tr ',' ' '); do
        case $master in *:*) ;; *) master=$master:5070 ;; esac
        join="${join:+$join }$master"
      done
      shift
      ;;
    --token) token=$2 && shift ;;
    --binary)
      # An absolute path, whatever a name without a slash would mean to the shell.
      program=$(readlink -f "$2") || wrong "there is no $2"
      shift
      ;;
    --set)
      case $2 in *=*) give "${2%%=*}: ${2#*=}" ;; *) wrong "--set wants KEY=VALUE, not $2" ;; esac
      shift
      ;;
    --settings)
      [ -r "$2" ] || wrong "the settings $2 cannot be read"
      give "$(cat "$2")"
      shift
      ;;
    --files)
      [ -d "$2" ] || wrong "$2 is no directory"
      files=$2 && shift
      ;;
    --ignore) ignored="$ignored $2" && shift ;;
    --install-docker) install_docker=yes ;;
    --no-systemd) background=yes ;;
    --no-start) no_start=yes ;;
    --checked) checked=yes ;;
    --prefix) prefix=$2 && shift ;;
    --wait) wait_s=$2 && shift ;;
    --quiet | -q) quiet=yes ;;
    --help | -h) usage && exit 0 ;;
    slave) wrong 'the role slave is called agent here' ;;
    slave_public) wrong 'the role slave_public is called public-agent here' ;;
    *) wrong "$1 is no role and no option; --help lists them" ;;
  esac
  shift
done

# --- what is known of this machine

# listed WORD: what the list of an earlier run says of it, a line each.
listed() { sed -n "s/^$1 //p" "$LIST" 2>/dev/null || true; }

# value_of KEY DEFAULT: as given now, else as the settings here have it.
value_of() {
  found=$(printf '%s\n' "$given" | sed -n "s/^$1: *//p" | tail -n 1 | tr -d "\"'")
  if [ -z "$found" ] && [ -r "$SETTINGS" ]; then
    found=$(sed -n "s/^$1: *\([^#]*[^# ]\).*/\1/p" "$SETTINGS" | tail -n 1 | tr -d "\"'")
  fi
  printf '%s\n' "${found:-$2}"
}

is_yes() { case $1 in true | on | yes | 1) echo true ;; *) echo false ;; esac; }

know() {
  before=$(listed roles)
  kept_prefix=$(listed prefix)
  [ -z "$kept_prefix" ] || prefix=$kept_prefix
  programs=$prefix/lib/tepui
  : "${roles:=${before:-}}"
  [ -z "$(listed background)" ] || background=yes
  data_dir=$(value_of data_dir /var/lib/tepui)
  docker=$(value_of docker /var/run/docker.sock)
  listen=$(value_of listen 0.0.0.0)
  router_port=443 redirect_port=80
  if [ "$(value_of tls own)" = off ]; then router_port=80 redirect_port=0; fi
  router_port=$(value_of router_port $router_port)
  [ "$router_port" = 443 ] || redirect_port=0
  redirect_port=$(value_of redirect_port $redirect_port)
  dns_port=$(value_of dns_port 53)
  peer_port=$(value_of peer_port 5070)
  compat_ports=$(is_yes "$(value_of compat_ports true)")
  joined=''
  [ ! -e "$data_dir/pki/node.pem" ] || joined=yes
  is_master='' runs_tasks=''
  case " $roles," in *" master,"*) is_master=yes ;; esac
  case "$roles" in *agent*) runs_tasks=yes ;; esac
  [ -n "$program" ] || [ ! -x "$here/bin/tepui" ] || program=$here/bin/tepui
}

runs() { # whether the node's process is there
  if [ -n "$background" ]; then
    pid=$(cat "$PIDFILE" 2>/dev/null || true)
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = tepui ]
  else
    systemctl is-active --quiet "$UNIT" 2>/dev/null && pid=$(systemctl show -p MainPID --value "$UNIT")
  fi
}

# A run that was broken off may have put another program in place than the one that runs.
runs_what_is_here() { runs && cmp -s "/proc/$pid/exe" "$prefix/bin/tepui"; }

# What the node that runs says of itself, without the lines that are the same for all; nothing where its
# program is of a release that says nothing.
health() {
  runs && grep -qx "pid $pid" "$data_dir/health" 2>/dev/null || return 0
  grep -E '^(master|agent) ' "$data_dir/health" || true
}

# Whether all its parts work, as far as it says.
is_well() { [ -n "$1" ] && ! printf '%s\n' "$1" | grep -q ' waits:'; }

# --- Docker, where it is to be brought along

packages() { dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii //p' | sort; }

bring_docker() {
  [ -n "$install_docker" ] && [ -n "$runs_tasks" ] || return 0
  if ! command -v dockerd >/dev/null 2>&1 && ! [ -S "$docker" ]; then
    command -v apt-get >/dev/null 2>&1 || die 'no apt-get here: install Docker with the tools of this distribution'
    say 'installing Docker'
    packages >"$work/before"
    set -- -qq -o DPkg::Lock::Timeout=60
    if [ -d "$here/docker" ]; then
      # The archive is a repository: of what is in it apt takes what is lacking here.
      mkdir -p "$work/lists/partial"
      echo "deb [trusted=yes] file:$here/docker ./" >"$work/sources"
      set -- "$@" -o "Dir::Etc::sourcelist=$work/sources" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root
    fi
    if ! { apt-get "$@" update && DEBIAN_FRONTEND=noninteractive \
      apt-get "$@" install -y --no-install-recommends docker.io iptables; } >"$work/docker.log" 2>&1; then
      tail -n 5 "$work/docker.log" >&2
      die 'Docker could not be installed (see above)'
    fi
    packages | comm -13 "$work/before" - >"$work/packages"
  fi
  [ -n "$background" ] || systemctl enable --now --quiet docker || die 'Docker does not start: journalctl -u docker'
}

load_images() {
  [ -n "$runs_tasks" ] && [ -d "$here/images" ] || return 0
  for image in "$here"/images/*; do
    say "loading $(basename "$image")"
    DOCKER_HOST=unix://$docker docker load --quiet --input "$image" >/dev/null || die "$image cannot be loaded"
  done
}

# --- putting things in place

# Everything as it is to lie, below $work/root.
stage() {
  root=$work/root
  mkdir "$root"
  sh "$here/packaging/install.sh" "$program" "$prefix" "$root"
  sed "s/^roles: .*/roles: [$roles]/" "$here/config/tepui.yaml" >"$root$SETTINGS"
  masters=$(printf '%s' "$join" | sed 's/ /", "/g; s/.*/masters: ["&"]/')
  if [ -n "$given$join" ]; then
    printf '\n%s\n%s\n' "$NOTE" "$given${given:+${masters:+
}}$masters" >>"$root$SETTINGS"
  fi
  if [ -n "$files" ]; then cp -p "$files"/* "$root/etc/tepui/"; fi
  if [ -n "$token" ]; then printf 'TEPUI_JOIN_TOKEN=%s\n' "$token" >>"$root$ENVIRONMENT"; fi
  keep_settings
  # Each program has a name of its own, so that the one before stays: only the link moves.
  version=$("$program" --version | cut -d' ' -f2)
  sum=$(sum_of "$program")
  name=tepui-$version-$(printf '%s' "$sum" | cut -c1-8)
  mkdir -p "$root$programs"
  mv "$root$prefix/bin/tepui" "$root$programs/$name"
  ln -s "../lib/tepui/$name" "$root$prefix/bin/tepui"
}

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

# Settings that somebody else wrote, or that a node lives by, stay as they are.
keep_settings() {
  for path in "$SETTINGS" "$ENVIRONMENT"; do
    [ -e "$path" ] || continue
    if [ -n "$joined" ]; then
      cp -p "$path" "$root$path"
    elif ! grep -qxF "settings $(sum_of "$path") $path" "$LIST" 2>/dev/null; then
      say "kept: $path, which was not written by this installer or changed since"
      cp -p "$path" "$root$path"
      if [ "$path" = "$SETTINGS" ] && [ -n "$given$join" ]; then
        die "$path would be without what is given now: write it there, or move that file away"
      fi
    fi
  done
}

# The list of all that is put here.
make_list() {
  {
    echo '# What install.sh has put here; uninstall goes by it.'
    echo "version $version"
    echo "program $sum"
    echo "prefix $prefix"
    echo "roles $roles"
    echo "data_dir $data_dir"
    [ -z "$background" ] || echo 'background yes'
    {
      listed dir
      (cd "$root" && find . -mindepth 1 -type d) | cut -c2- | sort | while read -r path; do
        [ -d "$path" ] || echo "$path"
      done
    } | sort -u | sed 's/^/dir /'
    echo "link $prefix/bin/tepui"
    (cd "$root" && find . -type f) | cut -c2- | sort | while read -r path; do
      case $path in /etc/*) kind=settings ;; *) kind='file' ;; esac
      # What was kept is no work of ours; it is listed only if it was before.
      if [ -e "$path" ] && [ "$kind" = settings ] && cmp -s "$root$path" "$path"; then
        grep -F "settings " "$LIST" 2>/dev/null | grep " $path\$" || true
      else
        echo "$kind $(sum_of "$root$path") $path"
      fi
    done
    { listed package && cat "$work/packages" 2>/dev/null; } | sort -u | sed 's/^/package /' || true
  } >"$work/list"
}

# It is there before the first of what it lists.
write_list() { cmp -s "$work/list" "$LIST" || install -D -m 644 "$work/list" "$LIST"; }

# What differs from what is here, of files and links below a root; the link to the program last.
differing() { # differing ROOT
  (cd "$1" && find . -type f -o -type l) | cut -c2- | grep -vx "$prefix/bin/tepui" | sort | while read -r path; do
    cmp -s "$1$path" "$path" || echo "$path"
  done
  link=$prefix/bin/tepui
  if [ -L "$1$link" ]; then
    [ "$(readlink "$1$link")" = "$(readlink "$link" 2>/dev/null)" ] || echo "$link"
  elif [ -e "$1$link" ]; then
    echo "$link"
  fi
}

# A node that lives is to find again what it had: all that is about to be replaced, and what is new, which
# goes. It is whole before it counts.
remember() {
  [ -n "$joined" ] && [ -n "$before" ] || return 0
  saved=$programs/before
  rm -rf "$saved.new"
  mkdir -p "$saved.new/files"
  for path in $(differing "$root") "$LIST"; do
    if [ -e "$path" ] || [ -L "$path" ]; then
      mkdir -p "$saved.new/files$(dirname "$path")"
      cp -Pp "$path" "$saved.new/files$path"
    else
      echo "$path" >>"$saved.new/new"
    fi
  done
  rm -rf "$saved"
  mv "$saved.new" "$saved"
  remembered=yes
}

remembered=''
changed=''
place() {
  (cd "$root" && find . -type d) | cut -c2- | sort | while read -r path; do
    [ -z "$path" ] || [ -d "$path" ] || mkdir "$path"
  done
  for path in $(differing "$root"); do
    # It is whole before it is there.
    mv -f "$root$path" "$path.new"
    mv -f "$path.new" "$path"
    case $path in
      */bin/tepui | */"$UNIT" | /etc/*) changed="$changed $path" ;;
    esac
  done
}

# Programs that are neither the one that runs nor the one before it.
drop_old_programs() {
  current=$(readlink "$prefix/bin/tepui" || true)
  last=$(readlink "$programs/before/files$prefix/bin/tepui" 2>/dev/null || true)
  for path in "$programs"/tepui-*; do
    case ../lib/tepui/${path##*/} in
      "$current" | "$last") ;;
      *) rm -f "$path" ;;
    esac
  done
}

# Puts back what was here before the last upgrade, and starts it.
go_back() {
  saved=$programs/before
  [ -d "$saved" ] || die 'nothing is kept of a program that ran here before'
  root=$work/back
  cp -a "$saved/files" "$root"
  # The list is no part of what makes a node start.
  place
  if [ -f "$saved/new" ]; then
    while read -r path; do rm -f "$path"; done <"$saved/new"
  fi
  rm -rf "$saved"
  rmdir "$programs" 2>/dev/null || true
  changed=yes
}

# --- starting and stopping

log_file() { echo "$data_dir/tepui.log"; }

start() {
  if [ -z "$changed" ] && runs_what_is_here; then return 0; fi
  if [ -n "$background" ]; then
    stop
    mkdir -p "$data_dir"
    chmod 711 "$data_dir"
    touch "$(log_file)"
    said_before=$(wc -c <"$(log_file)")
    (
      set -a
      # shellcheck source=/dev/null
      . "$ENVIRONMENT"
      set +a
      # shellcheck disable=SC2086 # flags are words
      exec setsid nohup "$prefix/bin/tepui" node --config "$SETTINGS" ${TEPUI_FLAGS:-} \
        </dev/null >>"$(log_file)" 2>&1 &
      echo $! >"$PIDFILE"
    )
  else
    systemctl daemon-reload
    systemctl enable --quiet "$UNIT"
    stop
    # What was counted of the program before is not this one's.
    systemctl reset-failed "$UNIT" 2>/dev/null || true
    systemctl start --no-block "$UNIT"
  fi
  changed=yes
}

# Waits until the node is ready; else says what it said, and why it is not.
await_ready() {
  end=$(($(date +%s) + wait_s))
  until is_ready; do
    if has_failed || [ "$(date +%s)" -ge "$end" ]; then
      {
        if [ -n "$background" ]; then
          tail -c "+$((said_before + 1))" "$(log_file)" | tail -n 15
        else
          journalctl --no-pager --lines 15 --output cat --unit "$UNIT"
        fi
      } >&2
      if has_failed; then why='tepui does not start (see above)'; else why="tepui is not ready after $wait_s s"; fi
      return 1
    fi
    sleep 0.2
  done
}

# Waits until the node is as well as it was: each of its parts works, for a while and in one process.
await_health() {
  end=$(($(date +%s) + wait_s)) told_end=$(($(date +%s) + HEALTH_TOLD_S)) n_well=0 first=''
  while [ "$n_well" -lt "$HEALTHY_LOOKS" ]; do
    now_well=$(health)
    if ! runs; then
      n_well=0
    elif is_well "$now_well"; then
      [ "$pid" = "$first" ] || n_well=0
      first=$pid n_well=$((n_well + 1))
    elif [ -z "$now_well" ] && [ "$(date +%s)" -ge "$told_end" ]; then
      return 0
    else
      n_well=0
    fi
    if [ "$n_well" = 0 ] && has_failed; then
      why='tepui ends after it was ready'
      return 1
    fi
    if [ "$(date +%s)" -ge "$end" ]; then
      why="its health does not return within $wait_s s: ${now_well:-it does not run}"
      return 1
    fi
    sleep 0.2
  done
}

is_ready() {
  if [ -n "$background" ]; then
    tail -c "+$((said_before + 1))" "$(log_file)" | grep -q '^tepui is ready'
  else
    systemctl is-active --quiet "$UNIT" 2>/dev/null
  fi
}

has_failed() {
  if [ -n "$background" ]; then
    ! runs && sleep 0.5 && ! runs
  else
    # It is started again for ever; three times are enough to know.
    n_restarts=$(systemctl show -p NRestarts --value "$UNIT" 2>/dev/null || true)
    systemctl is-failed --quiet "$UNIT" || [ "${n_restarts:-0}" -ge 3 ]
  fi
}

stop() {
  if [ -z "$background" ]; then
    [ ! -d /run/systemd/system ] || systemctl stop "$UNIT" 2>/dev/null || true
    return 0
  fi
  if runs; then
    kill -TERM "$pid"
    for _ in $(seq 100); do
      runs || break
      sleep 0.2
    done
    ! runs || kill -KILL "$pid"
  fi
  rm -f "$PIDFILE"
}

# A token lets one node in, once: it is good for nothing any more.
drop_token() {
  [ -n "$token" ] && grep -q '^TEPUI_JOIN_TOKEN=' "$ENVIRONMENT" || return 0
  before=$(sum_of "$ENVIRONMENT")
  sed -i '/^TEPUI_JOIN_TOKEN=/d' "$ENVIRONMENT"
  sed -i "s|^settings $before $ENVIRONMENT\$|settings $(sum_of "$ENVIRONMENT") $ENVIRONMENT|" "$LIST"
}

by_hand() {
  [ -n "$background" ] || return 0
  say "  no systemd   stop: kill \$(cat $PIDFILE)   start, also after a boot: this command again   log: $(log_file)"
}

next_step() {
  version=$(listed version)
  if [ -z "$is_master" ]; then
    say "tepui $version runs here and has joined its cluster ($roles)"
    by_hand
    return 0
  fi
  url=$(sed -n 's/^TEPUI_URL=//p' "$data_dir/client.env")
  say "tepui $version runs here ($roles)"
  say ''
  say "  page         $url"
  if [ -f "$data_dir/initial-password" ]; then
    say "  first login  admin, password in $data_dir/initial-password"
  fi
  say "  add a node   tepui node invite --role agent (public-agent, master)   prints ADDR and a token T; then there"
  say "               install.sh agent --join ADDR --token T"
  by_hand
}

install_node() {
  [ -n "$roles" ] || wrong 'which role? master, agent or public-agent'
  if [ -n "$before" ] && [ "$before" != "$roles" ]; then
    die "this node is $before; for another role: install.sh uninstall --purge, then install it anew"
  fi
  [ -n "$program" ] || wrong 'no program: --binary FILE or --archive FILE names it'
  [ -x "$program" ] || wrong "$program cannot be run"
  if dpkg-query -W -f '${db:Status-Abbrev}' tepui 2>/dev/null | grep -q '^ii'; then
    die 'the Debian package tepui is installed here; upgrade that, or remove it first'
  fi
  if [ -z "$is_master" ] && [ -z "$joined" ] && [ -z "$join" ] && ! grep -q '^masters:' "$SETTINGS" 2>/dev/null; then
    wrong 'an agent needs --join ADDR and --token T; tepui node invite on a master makes them'
  fi
  # A node that runs has been through it.
  if [ -z "$checked" ] && ! runs; then preflight || die "$n_bad to mend first; nothing was changed"; fi
  work=$(mktemp -d /var/tmp/tepui-install.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  bring_docker
  load_images
  stage
  if [ -n "$joined" ] && runs && ! said=$("$program" config check --config "$SETTINGS" 2>&1); then
    printf '%s\n' "$said" >&2
    die "the new program cannot use the settings in $SETTINGS (see above); nothing was changed"
  fi
  was=$(health)
  make_list
  [ -z "$(differing "$root")" ] || remember
  write_list
  place
  if ! said=$("$program" config check --config "$SETTINGS" 2>&1); then
    printf '%s\n' "$said" >&2
    die "the settings in $SETTINGS cannot be used (see above); tepui was not started"
  fi
  if [ -n "$no_start" ]; then
    say "in place; systemctl enable --now tepui starts it"
    return 0
  fi
  start
  if [ -n "$changed" ]; then come_up; fi
  drop_token
  drop_old_programs
  if [ -z "$changed" ]; then say 'nothing has changed'; fi
  next_step
}

# Ready and, unless it was told before that something is not, well.
is_up() {
  await_ready || return 1
  if [ -n "$was" ] && ! is_well "$was"; then return 0; fi
  await_health
}

# Waits until what was started is up. Where another program ran before, that one comes back otherwise.
come_up() {
  if [ -z "$joined" ]; then
    await_ready || die "$why; it goes on trying"
    return 0
  fi
  if is_up; then return 0; fi
  [ -n "$remembered" ] || die "$why"
  broken=$why
  say "$broken; going back to the program before"
  go_back
  start
  is_up || die "$broken; the program before it is back, but $why"
  drop_old_programs
  die "$broken; this node runs the program before it again (tepui $(listed version))"
}

back() {
  [ "$(id -u)" = 0 ] || die 'only root may go back'
  work=$(mktemp -d /var/tmp/tepui-install.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  was=$(health)
  go_back
  start
  is_up || die "the program before it is back, but $why"
  drop_old_programs
  say "tepui $(listed version) runs here again"
}

# --- taking it away

# Containers of this node: those that have something of its data directory.
own_containers() {
  docker ps -aq --no-trunc --filter label=tepui.instance 2>/dev/null | while read -r id; do
    case "$(docker inspect -f '{{range .Mounts}}{{.Source}} {{end}}' "$id" 2>/dev/null)" in
      *"$data_dir/"*) echo "$id" ;;
    esac
  done
}

uninstall() {
  [ "$(id -u)" = 0 ] || die 'only root may uninstall'
  if [ ! -f "$LIST" ]; then
    say 'tepui was not installed here by install.sh'
    return 0
  fi
  data_dir=$(listed data_dir)
  stop
  [ -n "$background" ] || [ ! -d /run/systemd/system ] || systemctl disable --quiet "$UNIT" 2>/dev/null || true
  DOCKER_HOST=unix://$docker
  export DOCKER_HOST
  containers=''
  if command -v docker >/dev/null 2>&1 && [ -S "$docker" ]; then containers=$(own_containers); fi
  if [ -n "$purge" ]; then
    for id in $containers; do docker rm -f -v "$id" >/dev/null; done
    if [ -S "$docker" ]; then docker images -q tepui/host-root 2>/dev/null | sort -u | xargs -r docker rmi -f >/dev/null 2>&1 || true; fi
    # No more than a node's directory is ever removed as a whole.
    if [ -f "$data_dir/lock" ]; then rm -rf --one-file-system "$data_dir"; fi
  else
    [ ! -d "$data_dir" ] || say "kept: $data_dir; --purge removes it"
    [ -z "$containers" ] || say "kept: $(echo "$containers" | wc -l) containers, which run on; --purge removes them"
  fi
  sed -n 's/^file [0-9a-f]* //p; s/^link //p' "$LIST" | while read -r path; do rm -f "$path"; done
  # Programs that ran here before.
  case $programs in */lib/tepui) rm -rf "$programs/before" "$programs"/tepui-* ;; esac
  kept=$(
    sed -n 's/^settings //p' "$LIST" | while read -r sum path; do
      if [ ! -e "$path" ]; then
        :
      elif [ -n "$purge" ] || [ "$(sum_of "$path")" = "$sum" ]; then
        rm -f "$path"
      else
        echo "settings $sum $path"
      fi
    done
  )
  [ -z "$kept" ] || say "kept: $(echo "$kept" | cut -d' ' -f3 | xargs), which was changed; --purge removes it"
  packages=$(listed package)
  directories=$(listed dir | sort -r)
  if [ -z "$purge" ] && [ -n "$kept$packages$(ls -d "$data_dir" 2>/dev/null)" ]; then
    # For a purge that comes later.
    { grep -E '^(prefix|roles|data_dir|background|dir|package) ' "$LIST" && echo "$kept"; } >"$LIST.new"
    mv -f "$LIST.new" "$LIST"
  else
    rm -f "$LIST"
  fi
  for path in $directories; do rmdir "$path" 2>/dev/null || true; done
  if [ -n "$packages" ] && [ -n "$purge" ]; then
    # shellcheck disable=SC2086 # names of packages
    dpkg --purge $packages >/dev/null || say "packages that were installed with it could not be removed: $packages"
  elif [ -n "$packages" ]; then
    # shellcheck disable=SC2086
    say "kept: Docker, as packages" $packages
  fi
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
  say 'tepui is gone from this machine'
}

know
case $action in
  check)
    [ -n "$roles" ] || { is_master=yes && runs_tasks=yes; }
    preflight || die "$n_bad to mend"
    ;;
  uninstall) uninstall ;;
  back) back ;;
  install) install_node ;;
esac
