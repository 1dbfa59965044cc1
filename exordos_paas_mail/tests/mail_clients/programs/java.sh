#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

# With the settings of the README's block, given in a file, or with those of port 465.
main() {
  local settings=${SPRING:-}
  if [[ -z $settings ]]; then
    settings=$(mktemp)
    cat >"$settings" <<PROPERTIES
spring.mail.host=$SERVER
spring.mail.port=$PORT
spring.mail.username=$LOGIN
spring.mail.password=$PASSWORD
spring.mail.properties.mail.smtp.auth=true
spring.mail.properties.mail.smtp.ssl.checkserveridentity=true
PROPERTIES
    if ((PORT == 587)); then
      echo 'spring.mail.properties.mail.smtp.starttls.required=true' >>"$settings"
      echo 'spring.mail.properties.mail.smtp.starttls.enable=true' >>"$settings"
    else
      echo 'spring.mail.properties.mail.smtp.ssl.enable=true' >>"$settings"
    fi
  fi
  java -cp '/usr/share/java/*:/usr/local/lib/mail-clients' Send "$settings"
}

main "$@"
