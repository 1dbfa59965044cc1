#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Run a container, again after each reboot of its own: supervise.sh GROUPS NSPAWN-ARGUMENT...
#
# GROUPS is the list of control groups, separated by colons, that all of it belongs in.
set -Eeuo pipefail
shopt -s inherit_errexit

# What systemd-nspawn ends with when the container asked for a reboot.
readonly REBOOT=133

main() {
  local status group
  local -a groups
  IFS=: read -r -a groups <<<"$1"
  shift
  for group in "${groups[@]}"; do
    printf '%s\n' "$$" >"$group/cgroup.procs"
  done
  while :; do
    status=0
    systemd-nspawn "$@" || status=$?
    ((status == REBOOT)) || exit "$status"
  done
}

main "$@"
