#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# What other registries have, and what is compiled. Compilers do not stay.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly FILES=/run/build/files
readonly OWN=/usr/local/lib/mail-clients
# The first four are for wheels that are built here.
readonly COMPILERS=(gcc libc6-dev libev-dev python3-dev default-jdk-headless golang-go)

main() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends "${COMPILERS[@]}"
  mkdir -p "$OWN"
  compile
  install_packages
  # With the compilers, before they go.
  dpkg-query --show >"$OWN/debian-packages"
  apt-get -q -y purge --auto-remove "${COMPILERS[@]}"
}

compile() {
  GOCACHE=/tmp/go go build -o "$OWN/send-go" "$FILES/send.go"
  javac -cp '/usr/share/java/*' -d "$OWN" "$FILES/Send.java"
}

install_packages() {
  python3 -m venv /opt/uv
  /opt/uv/bin/pip install --quiet "uv==$UV_VERSION"
  /opt/uv/bin/uv venv --quiet "$OWN/python"
  # shellcheck disable=SC2086 # a list
  /opt/uv/bin/uv pip install --quiet --python "$OWN/python/bin/python" $PYPI_PACKAGES
  mkdir -p "$OWN/node_modules/nodemailer"
  tar --extract --file "$FILES"/nodemailer-*.tgz --strip-components 1 \
    --directory "$OWN/node_modules/nodemailer"
}

main "$@"
