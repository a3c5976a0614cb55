# What install.sh looks at before it changes anything. Sourced, not run.
#
# Each thing is a line `ok`, `note` or `bad` with its name, and a line that says how to mend it, as
# `tepui doctor` writes them. The caller sets is_master and runs_tasks (yes or empty), data_dir,
# listen, the ports, docker (its socket), join, program (or empty), background and ignored.
# shellcheck shell=sh
# shellcheck disable=SC2154 # set by the caller
n_bad=0

# finding LEVEL NAME TEXT [HOW TO MEND IT]
finding() {
  level=$1
  case " $ignored " in
    *" $2 "*) [ "$level" != bad ] || level=note ;;
  esac
  [ "$level" != bad ] || n_bad=$((n_bad + 1))
  [ -z "${quiet:-}" ] || [ "$level" = bad ] || return 0
  printf '%-6s%-9s  %s\n' "$level" "$2" "$3"
  [ -z "${4:-}" ] || [ "$level" = ok ] || printf '%17s%s\n' '' "$4"
}

# version_at_least HAVE WANTED, of numbers with dots; what follows them does not count.
version_at_least() {
  [ "$(printf '%s\n%s\n' "$2" "${1%%[!0-9.]*}" | sort -V | head -n 1)" = "$2" ]
}

# The nearest directory above a path that is there.
existing() {
  existing=$1
  until [ -d "$existing" ]; do existing=$(dirname "$existing"); done
  printf '%s\n' "$existing"
}

check_root() {
  if [ "$(id -u)" = 0 ]; then
    finding ok root 'this is root'
  else
    finding bad root "this is $(id -un), and only root may install" 'repeat it with sudo in front'
  fi
}

# The oldest kernel of a distribution that is still kept (RHEL 8).
KERNEL_MIN=4.18
check_kernel() {
  kernel=$(uname -r)
  if [ "$(uname -s)" != Linux ]; then
    finding bad kernel "this is $(uname -s)" 'a node needs Linux'
  elif version_at_least "$kernel" "$KERNEL_MIN"; then
    finding ok kernel "Linux $kernel"
  else
    finding bad kernel "Linux $kernel is older than $KERNEL_MIN" 'install a newer kernel of the distribution, and boot it'
  fi
}

check_program() {
  machine=$(uname -m)
  case $machine in
    x86_64 | aarch64) ;;
    *) finding bad machine "tepui is not made for $machine" 'use a machine with x86_64 or aarch64'; return ;;
  esac
  if [ -z "$program" ]; then
    finding ok machine "$machine"
  elif said=$("$program" --version 2>&1); then
    finding ok machine "$machine, $said"
  else
    finding bad machine "$program does not run here ($machine): $(printf '%s' "$said" | tail -n 1)" \
      'use a program made for this machine, built on a distribution no newer than this one'
  fi
}

check_cgroups() {
  [ -n "$runs_tasks" ] || return 0
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    finding ok cgroups 'version 2'
  elif [ -d /sys/fs/cgroup/memory ]; then
    finding note cgroups 'version 1: limits of tasks hold, but less exactly than with version 2' \
      'for version 2 boot with systemd.unified_cgroup_hierarchy=1 on the kernel command line'
  else
    finding bad cgroups 'there are none at /sys/fs/cgroup: no task can be limited' \
      'boot with systemd, or mount them: mount -t cgroup2 none /sys/fs/cgroup'
  fi
}

DOCKER_MIN=20.10
check_docker() {
  [ -n "$runs_tasks" ] || return 0
  if ! command -v dockerd >/dev/null 2>&1 && ! [ -S "$docker" ]; then
    if [ -n "$install_docker" ]; then
      finding ok docker 'it is not here and will be installed'
    else
      finding bad docker 'it is not here, and tasks run in it' \
        'apt-get install -y docker.io, or repeat this with --install-docker'
    fi
    return 0
  fi
  if ! [ -S "$docker" ]; then
    finding bad docker "nothing listens at $docker" 'systemctl enable --now docker'
    return 0
  fi
  version=''
  if command -v docker >/dev/null 2>&1; then
    if ! version=$(DOCKER_HOST=unix://$docker timeout 20 docker version -f '{{.Server.Version}}' 2>&1); then
      finding bad docker "it does not answer: $(printf '%s' "$version" | tail -n 1)" \
        'systemctl restart docker; journalctl -u docker says more'
      return 0
    fi
  elif command -v dockerd >/dev/null 2>&1; then
    version=$(dockerd --version 2>/dev/null | sed 's/^Docker version \([^,]*\).*/\1/')
  fi
  if [ -z "$version" ]; then
    finding note docker "its version cannot be told at $docker" "it has to be $DOCKER_MIN or newer"
  elif version_at_least "$version" "$DOCKER_MIN"; then
    finding ok docker "version $version"
  else
    finding bad docker "version $version is older than $DOCKER_MIN" \
      'install a newer one of the distribution, or docker-ce'
  fi
  if command -v docker >/dev/null 2>&1 \
    && DOCKER_HOST=unix://$docker timeout 20 docker info 2>/dev/null | grep -q 'Supports d_type: false'; then
    finding bad docker 'its disk is XFS without ftype=1, where layers of images break' \
      "make that file system anew: mkfs.xfs -n ftype=1"
  fi
}

# --- ports

# An IPv4 address as /proc/net/tcp writes it.
hex_address() {
  IFS=. read -r one two three four <<ADDRESS
$1
ADDRESS
  printf '%02X%02X%02X%02X' "$four" "$three" "$two" "$one"
}

# in_the_way LOCAL WHERE: whether a listener at LOCAL (hex) keeps us from listening WHERE.
in_the_way() {
  case $1 in
    00000000 | 00000000000000000000000000000000) return 0 ;;
  esac
  case $2 in
    any) [ ${#1} = 8 ] ;;
    wildcard) return 1 ;;
    *) [ "$1" = "$2" ] ;;
  esac
}

# listeners PORT WHERE TABLE…: the inode of each socket that stands in the way.
listeners() {
  wanted=$(printf '%04X' "$1") where=$2
  shift 2
  for table; do
    [ -r "/proc/net/$table" ] || continue
    while read -r _ local _ state _ _ _ _ _ inode _; do
      # A TCP socket that listens, a UDP socket that is bound.
      case $state in 0A | 07) ;; *) continue ;; esac
      if [ "${local##*:}" = "$wanted" ] && in_the_way "${local%:*}" "$where"; then echo "$inode"; fi
    done <"/proc/net/$table"
  done
}

# The process that has a socket, by its inode: its number.
process_of() {
  find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$1\]" 2>/dev/null | head -n 1 | cut -d/ -f3
}

# What to do about a program that holds a port.
way_out() { # way_out PROGRAM PORT SETTING
  case $1 in
    systemd-resolve*) echo 'set DNSStubListener=no in /etc/systemd/resolved.conf, then systemctl restart systemd-resolved' ;;
    dnsmasq) echo 'systemctl disable --now dnsmasq, or set bind-interfaces in /etc/dnsmasq.conf' ;;
    nginx | apache2 | httpd | named | caddy | haproxy | unbound) echo "systemctl disable --now $1, or --set $3=ANOTHER" ;;
    *) echo "end that program, or give tepui another port: --set $3=ANOTHER" ;;
  esac
}

n_free=''
check_port() { # check_port PORT WHAT SETTING WHERE TABLE…
  port=$1 what=$2 setting=$3 at=$4
  shift 4
  [ "$port" != 0 ] || return 0
  for inode in $(listeners "$port" "$at" "$@"); do
    pid=$(process_of "$inode")
    name=$(cat "/proc/$pid/comm" 2>/dev/null || true)
    case $name in
      tepui) finding ok ports "tepui has port $port ($what) already" ;;
      '') finding bad ports "port $port ($what) is taken by a program that cannot be seen from here" "$(way_out '' "$port" "$setting")" ;;
      *) finding bad ports "port $port ($what) is taken by $name (pid $pid)" "$(way_out "$name" "$port" "$setting")" ;;
    esac
    return 0
  done
  n_free="$n_free $port"
}

check_ports() {
  where=any
  case $listen in
    0.0.0.0 | '' | *:*) ;;
    *) where=$(hex_address "$listen") ;;
  esac
  bound=$where
  if [ -n "$is_master" ]; then
    check_port "$router_port" 'the front door' router_port "$bound" tcp tcp6
    check_port "$redirect_port" 'plain HTTP' redirect_port "$bound" tcp tcp6
    check_port "$dns_port" DNS dns_port "$bound" tcp tcp6 udp udp6
    check_port "$peer_port" 'other nodes' peer_port "$bound" tcp tcp6
    if [ "$compat_ports" = true ]; then
      check_port 5050 'the direct Mesos port' compat_ports "$bound" tcp tcp6
      check_port 8080 'the direct Marathon port' compat_ports "$bound" tcp tcp6
    fi
  fi
  # Containers ask for names at Docker's bridge; a program at a single address is not in the way.
  if [ -n "$runs_tasks" ] && { [ -z "$is_master" ] || [ "$dns_port" != 53 ]; }; then
    check_port 53 "names for containers, at Docker's bridge" dns_port wildcard tcp tcp6 udp udp6
  fi
  [ -z "$n_free" ] || finding ok ports "free:$n_free"
}

# --- the rest of the machine

check_disk() {
  check_room "$data_dir" "tepui's data"
  if [ -n "$runs_tasks" ]; then check_room /var/lib/docker "Docker's images"; fi
}

check_room() { # check_room PATH WHAT
  place=$(existing "$1")
  room=$(df -Pk "$place" | sed -n '2s/.* \([0-9][0-9]*\)  *\([0-9][0-9]*\)% .*/\1 \2/p')
  free_mib=$((${room% *} / 1024)) used=${room#* }
  # As tepui doctor judges: below that images no longer unpack and the log soon stops.
  if [ "$free_mib" -lt 2048 ] || [ "$used" -gt 95 ]; then
    finding bad disk "$free_mib MiB free for $2 at $place" 'make room: docker system prune, or a larger disk'
  elif [ "$free_mib" -lt 10240 ]; then
    finding note disk "$free_mib MiB free for $2 at $place" 'images of apps soon fill that'
  else
    finding ok disk "$((free_mib / 1024)) GiB free for $2 at $place"
  fi
}

check_memory() {
  total_mib=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  if [ "$total_mib" -lt 480 ]; then
    finding bad memory "$total_mib MiB" 'a node needs 512 MiB, and what its tasks take beside that'
  else
    finding ok memory "$total_mib MiB"
  fi
}

check_clock() {
  FIX='apt-get install -y systemd-timesyncd, or chrony; certificates need the right time (--ignore clock goes on)'
  if command -v timedatectl >/dev/null 2>&1 \
    && synced=$(timeout 10 timedatectl show -p NTPSynchronized --value 2>/dev/null); then
    case $synced in
      yes) finding ok clock 'kept in step with the world' ;;
      *) finding bad clock 'it is not in step with the world (timedatectl says so)' "$FIX" ;;
    esac
  elif command -v chronyc >/dev/null 2>&1 && timeout 10 chronyc -n tracking 2>/dev/null | grep -q 'Leap status *: Normal'; then
    finding ok clock 'kept in step by chrony'
  else
    finding note clock "nobody here tells whether it is in step; it says $(date -u '+%F %T') UTC" "$FIX"
  fi
}

check_hostname() {
  name=$(uname -n)
  if ! command -v getent >/dev/null 2>&1 || getent hosts "$name" >/dev/null; then
    finding ok hostname "$name"
  else
    finding note hostname "$name does not resolve here, which many programs expect" \
      "echo '127.0.1.1 $name' >>/etc/hosts"
  fi
}

check_service_manager() {
  [ -z "$background" ] || return 0
  if ! [ -d /run/systemd/system ]; then
    finding bad systemd 'it does not run this machine' '--no-systemd starts tepui in the background instead'
  else
    finding ok systemd "$(systemctl --version | head -n 1)"
  fi
}

# Ports and units of the system that tepui takes the place of.
check_earlier() {
  if [ -d /opt/mesosphere ] || [ -e /etc/systemd/system/dcos.target ]; then
    finding bad earlier 'DC/OS is installed here, on the same ports' \
      'take it away first: pkgpanda uninstall, remove /opt/mesosphere and dcos units, reboot'
  fi
}

check_firewall() {
  if command -v firewall-cmd >/dev/null 2>&1 && firewall-cmd --state >/dev/null 2>&1; then
    finding note firewall 'firewalld runs: nodes have to reach each other on all ports' \
      'firewall-cmd --permanent --zone=trusted --add-source=NETWORK-OF-THE-NODES && firewall-cmd --reload'
  fi
}

# Whether a master answers where this node is to join.
check_masters() {
  [ -n "$join" ] && command -v bash >/dev/null 2>&1 || return 0
  there='' away=''
  for master in $join; do
    # shellcheck disable=SC2016 # bash is to expand them
    if timeout 5 bash -c ': </dev/tcp/"$0"/"$1"' "${master%:*}" "${master##*:}" 2>/dev/null; then
      there="$there $master"
    else
      away="$away $master"
    fi
  done
  level=bad
  # One does: it knows the others.
  [ -z "$there" ] || { finding ok masters "there:$there" && level=note; }
  if [ -n "$away" ]; then
    finding "$level" masters "nothing answers within 5 s at$away" \
      'start them, and let this machine through to that port in their firewall'
  fi
}

preflight() {
  n_bad=0
  check_root
  check_kernel
  check_program
  check_service_manager
  check_cgroups
  check_docker
  check_earlier
  check_ports
  check_disk
  check_memory
  check_clock
  check_hostname
  check_firewall
  check_masters
  [ "$n_bad" = 0 ]
}
