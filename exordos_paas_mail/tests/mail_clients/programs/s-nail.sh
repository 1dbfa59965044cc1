#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local -a connection=(-S smtp-use-starttls -S "mta=smtp://$SERVER:$PORT")
  ((PORT == 587)) || connection=(-S "mta=smtps://$SERVER:$PORT")
  s-nail -:/ -S v15-compat -S "user=$LOGIN" -S "password=$PASSWORD" -S "from=$LOGIN" \
    "${connection[@]}" -S smtp-auth=plain -S tls-verify=strict -S sendwait \
    -s "$SUBJECT" "$RECIPIENT"
}

main "$@"
