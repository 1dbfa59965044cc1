#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# A machine with what the distribution has of programs that send mail by themselves.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends \
    curl default-jre-headless git-email iproute2 libauthen-sasl-perl libemail-sender-perl libev4 \
    libio-socket-ssl-perl libmail-java libmailtools-perl libnet-ssleay-perl libphp-phpmailer msmtp \
    mutt nodejs openssl php-cli procps prometheus-alertmanager python3 python3-venv ruby ruby-mail \
    s-nail swaks
  # A test starts it, with its own settings.
  systemctl disable prometheus-alertmanager.service
  # PAM's session module wants a session manager that containers lack.
  systemctl mask systemd-logind.service getty@.service console-getty.service
}

main "$@"
