#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
set -Eeuo pipefail
shopt -s inherit_errexit

# Alertmanager sends when it is told of an alert. It begins with TLS on port 465 alone, and then has
# to be told not to ask for STARTTLS.
main() {
  local home text starttls=true
  ((PORT == 587)) || starttls=false
  home=$(mktemp -d)
  text=$(cat)
  cat >"$home/alertmanager.yml" <<YAML
global:
  smtp_smarthost: '$SERVER:$PORT'
  smtp_require_tls: $starttls
  smtp_from: '$LOGIN'
  smtp_auth_username: '$LOGIN'
  smtp_auth_password: '$PASSWORD'
route:
  receiver: mail
  group_wait: 0s
receivers:
  - name: mail
    email_configs:
      - to: '$RECIPIENT'
        headers: {Subject: '$SUBJECT'}
        html: ''
        text: '{{ range .Alerts }}{{ .Annotations.text }}{{ end }}'
YAML
  prometheus-alertmanager --config.file="$home/alertmanager.yml" --storage.path="$home/data" \
    --web.listen-address=127.0.0.1:9093 --cluster.listen-address='' >"$home/log" 2>&1 &
  trap 'kill "$!"; wait "$!"' EXIT
  curl --silent --fail --retry 30 --retry-delay 1 --retry-connrefused \
    --output /dev/null http://127.0.0.1:9093/-/ready
  python3 -c 'import json, sys; print(json.dumps([{"labels": {"alertname": "it works"},
    "annotations": {"text": sys.argv[1]}}]))' "$text" |
    curl --silent --show-error --fail --header 'Content-Type: application/json' --data @- \
      http://127.0.0.1:9093/api/v2/alerts
  sent
}

# Return when the notification was handed over; fails where it was refused.
sent() {
  local count=0 metrics=""
  until [[ $metrics == *'notification_latency_seconds_count{integration="email"} '[1-9]* ]]; do
    ((++count < 300))
    sleep 0.1
    metrics=$(curl --silent --show-error --fail http://127.0.0.1:9093/metrics)
  done
  [[ $metrics != *'notification_requests_failed_total{integration="email"} '[1-9]* ]]
}

main "$@"
