#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local home encryption=tls
  ((PORT == 587)) || encryption=ssl
  home=$(mktemp -d)
  cat >"$home/gitconfig" <<CONFIG
[sendemail]
  from = $LOGIN
  smtpServer = $SERVER
  smtpServerPort = $PORT
  smtpEncryption = $encryption
  smtpUser = $LOGIN
  smtpPass = "$PASSWORD"
CONFIG
  {
    printf 'Subject: %s\n\n' "$SUBJECT"
    cat
  } >"$home/message"
  GIT_CONFIG_GLOBAL=$home/gitconfig git send-email --quiet --confirm=never \
    --8bit-encoding=UTF-8 --to="$RECIPIENT" "$home/message"
}

main "$@"
