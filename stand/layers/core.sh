#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Exordos Core as its own image script lays it out, less what no package index
# carries (the IAM cache, the boot images).
set -Eeuo pipefail
shopt -s inherit_errexit

readonly CORE=/opt/exordos_core
readonly COMPILERS=(gcc libc6-dev libev-dev libvirt-dev pkg-config python3-dev)
readonly UNITS=(ec-user-api ec-orch-api ec-status-api ec-boot-api ec-gservice ec-core-agent
  exordos-repo-proxy-gservice exordos-universal-agent exordos-universal-scheduler)

main() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends "${COMPILERS[@]}" \
    dnsdist libnginx-mod-stream libvirt0 nginx pdns-backend-pgsql pdns-server postgresql
  uv venv --quiet "$CORE/.venv"
  uv pip install --quiet --python "$CORE/.venv/bin/python" "exordos-core==$EXORDOS_CORE_VERSION" \
    "gcl_sdk==$GCL_SDK_VERSION"
  apt-get -q -y purge --auto-remove "${COMPILERS[@]}"
  lay_out
  prepare_nginx
  prepare_dns
  cp -r /run/build/files/. /
  # The home of the operator's settings that ec-bootstrap writes.
  id ubuntu >/dev/null 2>&1 || useradd --create-home --shell /bin/bash ubuntu
  # Enabled by the bootstrap script, when the database is there.
  systemctl disable exordos-universal-agent.service postgresql.service
}

lay_out() {
  local site unit program
  site=$("$CORE/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  ln -s "$site/etc" "$CORE/etc"
  ln -s "$site/migrations" "$CORE/migrations"
  ln -s "$site/exordos/manifests" "$CORE/manifests"
  for program in "$CORE"/.venv/bin/{ec-*,exordos-*,ra-apply-migration}; do
    ln -sf "$program" /usr/bin/
  done
  for unit in "${UNITS[@]}"; do
    cp "$CORE/etc/systemd/$unit.service" /etc/systemd/system/
  done
  install -d /etc/exordos_core/exordos_core.d /var/lib/exordos/exordos_core/core_agent /etc/netplan
  cp "$CORE/etc/exordos_core/logging.yaml" /etc/exordos_core/
  cp "$CORE/etc/exordos_universal_agent/logging.yaml" /etc/exordos_universal_agent/
  rm /etc/exordos_universal_agent/exordos_universal_agent.conf
}

prepare_nginx() {
  rm -f /etc/nginx/sites-enabled/default
  install -d -o www-data -g www-data /etc/nginx/ssl
  install -d /etc/nginx/exordos
  printf 'include /etc/nginx/exordos/*.conf;\n' >>/etc/nginx/nginx.conf
  sed -i 's/server_tokens/# server_tokens/' /etc/nginx/nginx.conf
}

prepare_dns() {
  # Enabled by the bootstrap script, when their settings are rendered.
  systemctl disable pdns.service dnsdist.service
  rm -f /etc/powerdns/pdns.d/bind.conf
  cp "$CORE/etc/dnsdist/dnsdist-public.conf" /etc/dnsdist/
}

main "$@"
