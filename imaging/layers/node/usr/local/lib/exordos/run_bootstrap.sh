#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Run the image's bootstrap scripts in the order of their names, at each boot.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local script
  for script in /var/lib/exordos/bootstrap/scripts/*; do
    [[ -e $script ]] || continue
    printf 'Running %s\n' "$script"
    bash "$script"
  done
}

main "$@"
