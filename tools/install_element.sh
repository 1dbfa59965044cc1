#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Install an element, or update it, and wait until it is ACTIVE:
# install_element.sh MANIFEST
#
# Environment: EXORDOS_ENDPOINT, EXORDOS_USERNAME, EXORDOS_PASSWORD of an
# administrator of Core; PYTHON, the project's.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly WAIT_SECONDS=300

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# The CLI takes a password on its command line, where every user of the
# machine can read it, or from its settings.
write_settings() {
  "$PYTHON" -c '
import os, sys, yaml
context = {"user": os.environ["EXORDOS_USERNAME"], "password": os.environ["EXORDOS_PASSWORD"]}
realm = {
    "endpoint": os.environ["EXORDOS_ENDPOINT"],
    "check_updates": False,
    "contexts": {"default": context},
    "current-context": "default",
}
settings = {"schema_version": 1, "realms": {"default": realm}, "current-realm": "default"}
yaml.safe_dump(settings, sys.stdout)
' >"$1"
}

field() {
  "$PYTHON" -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}

# Prints "version status" of the installed element of that name, or nothing.
installed() {
  "${exordos[@]}" em elements list --filters "name=$1" --output json | "$PYTHON" -c '
import json, sys
for element in json.load(sys.stdin) or []:
    print(element["version"], element["status"])
'
}

main() {
  [[ $# -eq 1 && -f $1 ]] || die "There is no manifest ${1:-}: make build, or name one by MANIFEST=..."
  local manifest=$1 variable name version cli settings present
  for variable in EXORDOS_ENDPOINT EXORDOS_USERNAME EXORDOS_PASSWORD; do
    [[ -n ${!variable:-} ]] || die "$variable is not set: it names an administrator of Core."
  done
  PYTHON=${PYTHON:-.venv/bin/python}
  cli=$("$PYTHON" -c 'from imaging import exordos_cli; print(exordos_cli.ensure(lambda line: None))')
  settings=$(mktemp)
  # shellcheck disable=SC2064 # the name as it is now
  trap "rm -f '$settings'" EXIT
  write_settings "$settings"
  exordos=("$cli" --no-check-updates --config "$settings")

  name=$(field "$manifest" name)
  version=$(field "$manifest" version)
  present=$(installed "$name")
  case $present in
  "$version "*) printf '%s %s is installed\n' "$name" "$version" ;;
  '') "${exordos[@]}" em elements install "$manifest" ;;
  *) "${exordos[@]}" em elements update --yes "$manifest" ;;
  esac

  SECONDS=0
  until [[ $(installed "$name") == "$version ACTIVE" ]]; do
    ((SECONDS < WAIT_SECONDS)) || die "$name is not ACTIVE after $WAIT_SECONDS s: $(installed "$name")"
    sleep 1
  done
  printf '%s %s is ACTIVE\n' "$name" "$version"
}

main "$@"
