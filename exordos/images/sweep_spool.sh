#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Remove halves of messages that a crash left in exim's spool:
# exordos-mail-sweep-spool [SPOOL_DIRECTORY]
#
# A message is a data file (-D) and a header file (-H). Exim acknowledges it
# once both are in place and removes both when it is done, so a lone half is a
# message that was never accepted, or one that is already delivered. Only
# halves older than a day go: a message that is being received has one half. A journal
# (-J) stays as long as its message is in either of the queues: that which is run, and
# that of accounts on hold.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly AGE_MINUTES=1440

main() {
  local spool=${1:-/var/spool/exim4} input file base name removed=0
  local -a inputs=()
  for input in "$spool/input" "$spool/hold/input"; do
    [[ ! -d $input ]] || inputs+=("$input")
  done
  ((${#inputs[@]} > 0)) || return 0
  while IFS= read -r -d '' file; do
    base=${file%-[DHJ]}
    name=${base#"$spool"/}
    case $file in
    *-D) [[ ! -e $base-H ]] || continue ;;
    *-J) [[ ! -e $base-H && ! -e $spool/hold/$name-H ]] || continue ;;
    *-H) [[ ! -e $base-D ]] || continue ;;
    esac
    rm -f -- "$file"
    removed=$((removed + 1))
    printf 'removed %s\n' "${file#"$spool"/}"
  done < <(find "${inputs[@]}" -type f -mmin "+$AGE_MINUTES" \
    \( -name '*-D' -o -name '*-H' -o -name '*-J' -o -name 'hdr.*' \) -print0)
  ((removed == 0)) || printf '%d orphan spool files removed\n' "$removed"
}

main "$@"
