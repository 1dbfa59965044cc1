#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local scheme=smtp
  ((PORT == 587)) || scheme=smtps
  {
    printf 'From: %s\nTo: %s\nSubject: %s\n' "$LOGIN" "$RECIPIENT" "$SUBJECT"
    printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n'
    printf 'Content-Transfer-Encoding: 8bit\n\n'
    cat
  } | curl --silent --show-error --ssl-reqd --crlf --url "$scheme://$SERVER:$PORT" \
    --user "$LOGIN:$PASSWORD" --mail-from "$LOGIN" --mail-rcpt "$RECIPIENT" --upload-file -
}

main "$@"
