#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Run SCRIPT inside a root file system: enter.sh LOWER UPPER WORK SCRIPT [SOURCE:TARGET]...
#
# To be run in a mount namespace of its own: when it ends, however it ends, its
# mounts are gone. The script finds each SOURCE of this machine at TARGET.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local lower=$1 upper=$2 work=$3 script=$4
  shift 4
  local root=$work/root bind
  mkdir -p "$root" "$work/overlay"
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work/overlay" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind --make-rslave /dev "$root/dev"
  mount -t tmpfs -o mode=0755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mkdir -p "$root/run/build" "$root/run/lock"
  for bind in "$@"; do
    see "${bind%%:*}" "$root${bind#*:}"
  done
  # Packages must not start their services in a build (Debian policy 9.3.3.2).
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 0755 "$root/usr/sbin/policy-rc.d"
  cp "$script" "$root/run/build/script"
  chroot "$root" bash /run/build/script
  rm -f "$root/usr/sbin/policy-rc.d"
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
}

see() {
  local source=$1 target=$2
  if [[ -d $source ]]; then
    mkdir -p "$target"
  elif [[ ! -e $target ]]; then
    mkdir -p "${target%/*}"
    touch "$target"
  fi
  mount --bind "$source" "$target"
}

main "$@"
