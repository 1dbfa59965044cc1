#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# The wheels that the product needs and the control plane does not have yet, in
# /srv/wheels: what a public index would give at the product's installation.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly PYTHON=/opt/exordos_metapaas/.venv/bin/python

main() {
  local present=/tmp/present missing=/tmp/missing
  uv pip freeze --python "$PYTHON" | sort >"$present"
  uv pip compile --quiet --no-header --no-annotate --python "$PYTHON" \
    --constraint "$present" /run/build/files/requirements.txt | sort >"$missing.all"
  comm -13 "$present" "$missing.all" >"$missing"
  mkdir -p /srv/wheels
  /opt/uv/bin/pip wheel --quiet --no-deps --wheel-dir /srv/wheels --requirement "$missing"
}

main "$@"
