#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# What exordos_base brings for `exordos build`: cloud-init, which lets packer in.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends cloud-init openssh-client
  cp -r /run/build/files/. /
  # A network may have an authority of its own; this image is for builds on it.
  split_authorities
  update-ca-certificates
}

# Each certificate of this machine's bundle, as update-ca-certificates takes them.
split_authorities() {
  awk -v directory=/usr/local/share/ca-certificates '
    /BEGIN CERTIFICATE/ {file = sprintf("%s/build-%03d.crt", directory, ++count)}
    file {print >file}
    /END CERTIFICATE/ {close(file); file = ""}
  ' /run/build/ca.crt
}

main "$@"
