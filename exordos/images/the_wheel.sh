#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Artifact script of `exordos build`. It builds nothing: the image takes the
# wheel from dist/ too, and a second build could differ from it.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  cd "$(dirname "${BASH_SOURCE[0]}")/../.."
  local -a wheels
  mapfile -t wheels < <(find dist -maxdepth 1 -name 'exordos_paas_mail-*.whl')
  if [[ ${#wheels[@]} -ne 1 ]]; then
    printf 'dist/ must hold one exordos_paas_mail wheel, not %d: run make wheel\n' "${#wheels[@]}" >&2
    return 1
  fi
}

main "$@"
