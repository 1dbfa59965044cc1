#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local scheme=smtp settings
  ((PORT == 587)) || scheme=smtps
  settings=$(mktemp)
  cat >"$settings" <<MUTTRC
set smtp_url = "$scheme://$LOGIN@$SERVER:$PORT/"
set smtp_pass = "$PASSWORD"
set from = "$LOGIN"
set ssl_starttls = yes
set ssl_force_tls = yes
set copy = no
MUTTRC
  mutt -F "$settings" -s "$SUBJECT" -- "$RECIPIENT"
}

main "$@"
