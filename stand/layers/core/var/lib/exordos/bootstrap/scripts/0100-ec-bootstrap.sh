#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Core's own bootstrap, less what the stand has no use for: netplan, DHCP, PXE,
# address translation, the IAM cache.
set -Eeuo pipefail
shopt -s inherit_errexit

# shellcheck source=/dev/null
source /usr/local/lib/exordos/lib_bootstrap.sh

readonly CORE=/opt/exordos_core CONFIG=/etc/exordos_core/exordos_core.conf
export GC_PG_USER=exordos_core GC_PG_PASS=exordos_core GC_PG_DB=exordos_core

main() {
  persist
  setup_postgresql_user_and_db "$GC_PG_USER" "$GC_PG_PASS" "$GC_PG_DB"
  ec-bootstrap-templates
  migrate
  systemctl enable --now nginx ec-user-api ec-orch-api ec-status-api ec-boot-api ec-gservice \
    ec-core-agent exordos-repo-proxy-gservice exordos-universal-agent exordos-universal-scheduler \
    pdns dnsdist@public dnsdist@private
  ec-bootstrap --config-file "$CONFIG"
}

persist() {
  local disk version
  version=$(pg_lsclusters --no-header | awk '{ print $1; exit }')
  disk=$(find_persistent_disk)
  prepare_persistent_disk "$disk" "$PERSISTENT_MOUNT"
  migrate_to_persistent_stop_start /var/lib/postgresql "$PERSISTENT_MOUNT/var/lib/postgresql" \
    "postgresql@$version-main" postgres postgres
  migrate_to_persistent /var/lib/exordos/exordos_core "$PERSISTENT_MOUNT/var/lib/exordos/exordos_core"
  mkdir -p /var/lib/exordos/data
  migrate_to_persistent /var/lib/exordos/data "$PERSISTENT_MOUNT/var/lib/exordos/data"
  migrate_to_persistent /etc/exordos_core "$PERSISTENT_MOUNT/etc/exordos_core"
  migrate_to_persistent /etc/dnsdist "$PERSISTENT_MOUNT/etc/dnsdist"
  persist_migrate_complete
}

migrate() {
  local sdk
  sdk=$("$CORE/.venv/bin/python" -c 'import gcl_sdk.migrations as m; print(m.__path__[0])')
  ra-apply-migration --config-file "$CONFIG" --path "$sdk"
  ra-apply-migration --config-file "$CONFIG" --path "$(readlink -f "$CORE/migrations")"
}

main "$@"
