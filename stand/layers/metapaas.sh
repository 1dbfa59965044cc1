#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# The MetaPaaS control plane as its own image script lays it out. The units, the
# bootstrap script and the settings come from the source distribution of the
# same version: the wheel does not carry them.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly METAPAAS=/opt/exordos_metapaas
readonly COMPILERS=(gcc libc6-dev libev-dev python3-dev)

main() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends "${COMPILERS[@]}" postgresql
  source_distribution
  uv venv --quiet "$METAPAAS/.venv"
  uv pip install --quiet --python "$METAPAAS/.venv/bin/python" \
    "exordos_metapaas==$EXORDOS_METAPAAS_VERSION" "gcl_sdk==$GCL_SDK_VERSION"
  apt-get -q -y purge --auto-remove "${COMPILERS[@]}"
  lay_out
  cp -r /run/build/files/. /
  systemctl disable postgresql.service
}

# Fetched as pip fetches it; building its metadata needs no compiler.
source_distribution() {
  /opt/uv/bin/pip download --quiet --no-deps --no-binary exordos_metapaas --dest /tmp/sdist \
    "exordos_metapaas==$EXORDOS_METAPAAS_VERSION"
  mkdir -p "$METAPAAS"
  tar --extract --file "/tmp/sdist/exordos_metapaas-$EXORDOS_METAPAAS_VERSION.tar.gz" \
    --directory "$METAPAAS" --strip-components 1 --no-same-owner \
    --wildcards '*/etc' '*/exordos'
}

lay_out() {
  local program postgresql
  for program in "$METAPAAS"/.venv/bin/{exordos-*,ra-apply-migration}; do
    # The agent of the base image keeps its own.
    [[ $program == */exordos-universal-agent ]] || ln -sf "$program" /usr/bin/
  done
  cp "$METAPAAS"/etc/systemd/*.service /etc/systemd/system/
  install -d /etc/exordos_metapaas/exordos_metapaas.d
  cp "$METAPAAS/etc/exordos_metapaas/logging.yaml" /etc/exordos_metapaas/
  # The script names the PostgreSQL of the platform's own package source.
  postgresql=$(pg_lsclusters --no-header | awk '{ print $1; exit }')
  sed "s/^PG_VERSION=.*/PG_VERSION=\"$postgresql\"/" "$METAPAAS/exordos/images/cp_bootstrap.sh" \
    >/var/lib/exordos/bootstrap/scripts/0100-metapaas-bootstrap.sh
}

main "$@"
