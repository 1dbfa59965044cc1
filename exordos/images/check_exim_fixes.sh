#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Fail unless an exim4 package holds the fixes a public relay cannot be without:
# check_exim_fixes.sh VERSION HELD_PACKAGES < CHANGELOG
#
# Debian and Ubuntu fix a hole without a new upstream version, so a package
# passes by its version or by a changelog that names the fix. Ubuntu cuts old
# entries off the changelogs it ships: for a hole as old as the smuggling one
# the version says it.
#
# Our own patches (build_exim.sh) are told by the version's suffix. A package that
# has them is to be held, or an upgrade takes them away. They are not asked for
# with EXORDOS_MAIL_EXIM=distribution.
set -Eeuo pipefail
shopt -s inherit_errexit

# CVE | first version that has it in every distribution | what a changelog calls it
readonly FIXES=(
  # SMTP smuggling. Debian's 4.97-3 carries the change of 4.97.1.
  'CVE-2023-51766|4.97-3|CVE-2023-51766'
  # Use after free in BDAT over GnuTLS, remote code execution before login.
  # Debian names upstream's advisory, not the CVE, and fixed 4.96 as well.
  # Not advertising CHUNKING is no substitute: exim parses BDAT all the same.
  'CVE-2026-45185|4.99.3|CVE-2026-45185|EXIM-Security-2026-05-01\.1'
)

main() {
  local version=$1 held=$2 changelog fix cve fixed_in names missing=0
  changelog=$(cat)
  if [[ $version == *+mailaas* ]]; then
    if ! grep --quiet --line-regexp exim4-daemon-light <<<"$held"; then
      printf 'exim4 %s is not held (apt-mark hold exim4-daemon-light)\n' "$version" >&2
      missing=1
    fi
  elif [[ ${EXORDOS_MAIL_EXIM:-} != distribution ]]; then
    printf 'exim4 %s lacks our patches (build_exim.sh)\n' "$version" >&2
    missing=1
  fi
  for fix in "${FIXES[@]}"; do
    IFS='|' read -r cve fixed_in names <<<"$fix"
    if dpkg --compare-versions "$version" ge "$fixed_in"; then
      continue
    fi
    if ! grep --quiet --extended-regexp --ignore-case "$names" <<<"$changelog"; then
      printf 'exim4 %s lacks the fix of %s\n' "$version" "$cve" >&2
      missing=1
    fi
  done
  return "$missing"
}

main "$@"
