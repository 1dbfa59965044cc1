#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Build the element into output/: element.sh packer|disk
#
#   packer  by `exordos build`: needs packer and KVM
#   disk    the same files without either, on the stand's base image (root)
#
# Environment: PYTHON, the project's; REPOSITORY, where elements are published,
# and INDEX_URL, a simple index that will hold the wheel. Without them the
# manifest names image and wheel by the URNs of the element's own repository.
set -Eeuo pipefail
shopt -s inherit_errexit

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

variables() {
  local wheel digest
  if [[ -n ${REPOSITORY:-} ]]; then
    printf 'repository=%s\n' "$REPOSITORY"
  fi
  if [[ -n ${INDEX_URL:-} ]]; then
    wheel=$(find dist -name 'exordos_paas_mail-*.whl')
    digest=$(sha256sum "$wheel")
    printf '%s\n' "index_url=$INDEX_URL" "wheel=${wheel##*/}" "wheel_sha256=${digest%% *}"
  fi
}

by_packer() {
  local variable
  local -a options=()
  command -v packer >/dev/null || die "There is no packer here: 'make image' builds the same files without it."
  [[ -w /dev/kvm ]] || die "KVM is not usable here: 'make image' builds the same files without it."
  for variable in "$@"; do
    options+=(--manifest-var "$variable")
  done
  "$cli/exordos" --no-check-updates build --force --output-dir output "${options[@]}" .
}

by_disk() {
  [[ $(id -u) -eq 0 ]] || die 'Making a disk takes loop devices and mounts: run this as root.'
  "$cli/python" tools/build_element.py output "$PYTHON" -m stand.disks -- "$@"
}

# The CLI keeps a repository of elements; the two files people ask for get a
# name that does not change.
link() {
  local kind=$1 name=$2 file
  file=$(find output -path "*/mailaas/*/$kind/$name")
  mkdir -p "output/$kind"
  ln --force "$file" "output/$kind/$name"
  printf 'output/%s/%s\n' "$kind" "$name"
}

main() {
  local how=$1
  local -a given
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  PYTHON=${PYTHON:-$PWD/.venv/bin/python}
  mapfile -t given < <(variables)
  cli=$("$PYTHON" -c 'from stand import elements; print(elements.cli(lambda line: None).parent)')
  "by_$how" "${given[@]}"
  link images exordos-metapaas-mail-dp.raw.zst
  link manifests mailaas.yaml
}

main "$@"
