#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local encryption=--tls
  ((PORT == 587)) || encryption=--tlsc
  swaks --silent 2 --server "$SERVER" --port "$PORT" "$encryption" --tls-verify \
    --auth-user "$LOGIN" --auth-password "$PASSWORD" --from "$LOGIN" --to "$RECIPIENT" \
    --header "Subject: $SUBJECT" --add-header 'MIME-Version: 1.0' \
    --add-header 'Content-Type: text/plain; charset=utf-8' --body -
}

main "$@"
