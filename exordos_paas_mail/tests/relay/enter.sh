#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Run a command on a machine made for the relay: enter.sh [--with-peers] COMMAND [ARGUMENT...]
#
# The machine is this one's file system under a layer in memory, with the exim4
# that nodes run (exordos/images/build_exim.sh) installed into that layer, or the
# distribution's own with EXORDOS_MAIL_EXIM=distribution, in mount, process and network
# name spaces of its own: the product's exim4.conf runs unchanged, on its real
# paths and ports, and whatever MTA this machine has does not notice. Nothing
# is left when the command ends. An "internet" name space holds the other end
# of the wire. With --with-peers the machine has Postfix, Dovecot and OpenDKIM of the
# distribution beside exim4, none of them running. Needs root; uses sudo otherwise.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly EXIM_PACKAGE=exim4-daemon-light
readonly EXIM_PACKAGES=.cache/relay/exim

# What to have apt install.
exim_package() {
  local project=$1
  local ours
  ours=$(find "$project/$EXIM_PACKAGES" -name "${EXIM_PACKAGE}_*.deb")
  printf '%s\n' "${ours:-$EXIM_PACKAGE}"
}

# systemd starts nothing here, and the packages must not try to.
install_packages() {
  local root=$1 archives=$2
  shift 2
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  local -a apt=(chroot "$root" env DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o Dir::Cache::archives="$archives" -o APT::Sandbox::User=root
    -o Debug::NoLocking=1 -o APT::Keep-Downloaded-Packages=true)
  local -a install=("${apt[@]}" -y --no-install-recommends install "$@")
  # A fresh machine has no package lists, an old one has stale lists.
  "${install[@]}" >"$root/tmp/install.log" 2>&1 || {
    "${apt[@]}" update >>"$root/tmp/install.log" 2>&1
    "${install[@]}" >>"$root/tmp/install.log" 2>&1 || {
      cat "$root/tmp/install.log" >&2
      return 1
    }
  }
}

# Postfix is unpacked only: its package wants to be the one MTA of a machine.
install_peers() {
  local root=$1 archives=$2
  install_packages "$root" "$archives" dovecot-core libnsl2 libsasl2-2 netbase opendkim
  chroot "$root" bash -Eeuo pipefail -c '
    cd /tmp
    apt-get -qq -o APT::Sandbox::User=root download postfix
    # Into /usr/lib where /lib is a link to it
    dpkg-deb --fsys-tarfile postfix_*.deb | tar --extract --directory / --keep-directory-symlink
    useradd --system --no-create-home --user-group postfix
    groupadd --system postdrop
    # What its script after the installation does
    chown postfix: /var/lib/postfix
    chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue
    chmod g+s,o=rx /usr/sbin/postdrop /usr/sbin/postqueue' 2>&1
}

# Of the resolver's tests; it runs nowhere else.
readonly RESOLVER_PACKAGES=(dns-root-data unbound)

# The first stage: a root file system to work in.
make_root() {
  local peers=$1 project=$2 layer=$3
  shift 3
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 relay-bench "$layer"
  local root=$layer/root
  mkdir "$layer/upper" "$layer/work" "$root"
  mount -t overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" relay-bench "$root"
  local shared
  for shared in /proc /sys /dev; do
    mount --rbind "$shared" "$root$shared"
  done
  mount -t tmpfs -o mode=755 run "$root/run"
  mount -t tmpfs -o mode=1777 tmp "$root/tmp"
  mkdir -p "$root$project" "$project/.cache/relay/partial"
  mount --bind "$project" "$root$project"
  install_packages "$root" "$project/.cache/relay" "$(exim_package "$project")" "${RESOLVER_PACKAGES[@]}"
  [[ $peers != --with-peers ]] || install_peers "$root" "$project/.cache/relay"
  exec unshare --net --pid --fork --kill-child \
    "$project/exordos_paas_mail/tests/relay/enter.sh" --inside "$project" "$root" "$@"
}

# The second stage: a network with nobody else on it.
make_network() {
  local project=$1 root=$2
  shift 2
  mount -t proc proc "$root/proc"
  ip link set lo up
  mkdir -p "$root/run/netns"
  chroot "$root" bash -Eeuo pipefail -c '
    ip netns add internet
    ip link add wire type veth peer name wire netns internet
    ip addr add 203.0.113.1/24 dev wire
    ip addr add 10.80.0.1/24 dev wire
    ip addr add 2001:db8::1/64 dev wire nodad
    ip link set wire up
    ip -n internet addr add 203.0.113.25/24 dev wire
    ip -n internet addr add 203.0.113.26/24 dev wire
    ip -n internet addr add 203.0.113.27/24 dev wire
    ip -n internet addr add 203.0.113.28/24 dev wire
    ip -n internet addr add 203.0.113.30/24 dev wire
    ip -n internet addr add 203.0.113.31/24 dev wire
    ip -n internet addr add 203.0.113.32/24 dev wire
    ip -n internet addr add 203.0.113.33/24 dev wire
    ip -n internet addr add 203.0.113.34/24 dev wire
    ip -n internet addr add 203.0.113.35/24 dev wire
    ip -n internet addr add 10.80.0.25/24 dev wire
    ip -n internet addr add 2001:db8::25/64 dev wire nodad
    ip -n internet link set lo up
    ip -n internet link set wire up'
  printf 'nameserver 127.0.0.1\noptions timeout:2 attempts:1 trust-ad\n' >"$root/run/resolv.conf"
  mount --bind "$root/run/resolv.conf" "$root$(readlink -m "$root/etc/resolv.conf" | sed "s|^$root||")"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
  printf '127.0.0.1 %s\n' "$(hostname)" >>"$root/etc/hosts"
  export MAILAAS_RELAY_BENCH=1 HOME=/root TMPDIR=/tmp
  # Not exec: this shell is process 1 and reaps what daemons leave.
  local status=0
  chroot "$root" env --chdir="$project" "$@" || status=$?
  return "$status"
}

main() {
  if [[ ${1-} == --inside ]]; then
    make_network "${@:2}"
    return
  elif [[ ${1-} == --root ]]; then
    make_root "${@:2}"
  elif (($# == 0)); then
    printf 'Usage: enter.sh [--with-peers] COMMAND [ARGUMENT...]\n' >&2
    return 2
  fi
  local here project layer peers=--alone
  if [[ $1 == --with-peers ]]; then
    peers=$1
    shift
  fi
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  project=$(cd "$here/../../.." && pwd)
  local -a become=()
  if [[ $(id -u) -ne 0 ]]; then
    printf 'The relay bench makes name spaces: running it by sudo\n' >&2
    become=(sudo --)
  fi
  "$project/exordos/images/build_exim.sh" "$project/$EXIM_PACKAGES"
  layer=$(mktemp -d)
  # Not exec: the empty mount point is to be removed.
  local status=0
  "${become[@]}" unshare --mount "$here/enter.sh" --root "$peers" "$project" "$layer" "$@" ||
    status=$?
  rmdir "$layer"
  return "$status"
}

main "$@"
