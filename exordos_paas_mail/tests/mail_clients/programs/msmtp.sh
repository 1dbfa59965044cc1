#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local starttls=on
  ((PORT == 587)) || starttls=off
  {
    printf 'From: %s\nTo: %s\nSubject: %s\n' "$LOGIN" "$RECIPIENT" "$SUBJECT"
    printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n'
    printf 'Content-Transfer-Encoding: 8bit\n\n'
    cat
  } | msmtp --file=/dev/null --host="$SERVER" --port="$PORT" --tls=on --tls-starttls="$starttls" \
    --auth=on --user="$LOGIN" --passwordeval='printenv PASSWORD' --from="$LOGIN" --read-recipients
}

main "$@"
