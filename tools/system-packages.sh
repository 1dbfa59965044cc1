#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Install the Debian packages that are missing: tools/system-packages.sh PACKAGE...
# Says what it installs; does nothing, silently, when all are there. Two at once take turns.
set -Eeuo pipefail
shopt -s inherit_errexit

missing() {
  local package status
  for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || status=none
    [[ $status == installed ]] || printf '%s\n' "$package"
  done
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    printf 'These commands need root, and there is no sudo here: %s\n' "$*" >&2
    return 1
  fi
}

main() {
  command -v apt-get >/dev/null || {
    printf 'This machine has no apt-get. Install by its own means: %s\n' "$*" >&2
    return 1
  }
  exec 9<"${BASH_SOURCE[0]}"
  flock 9
  local -a wanted
  mapfile -t wanted < <(missing "$@")
  ((${#wanted[@]})) || return 0
  printf 'Installing system packages: %s\n' "${wanted[*]}"
  # The lock is waited for: a fresh machine may be running its own updates.
  as_root apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null 9<&-
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends "${wanted[@]}" >/dev/null 9<&- # or a daemon of theirs holds it
}

main "$@"
