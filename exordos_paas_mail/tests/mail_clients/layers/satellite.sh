#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# A machine with cron and a mail transport agent, as they are when nobody answers a question.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  apt-get -q update
  # shellcheck disable=SC2086 # a list
  apt-get -q -y install --no-install-recommends cron iproute2 procps $SATELLITE_PACKAGES
  # PAM's session module wants a session manager that containers lack.
  systemctl mask systemd-logind.service getty@.service console-getty.service
}

main "$@"
