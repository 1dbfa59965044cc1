#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Turn a base image (Debian 12 or Ubuntu 24.04, see docs) into the mail data
# plane image. Runs as root inside the image under construction, which holds
# dist/ (one wheel, and the exim4 of build_exim.sh), etc/ and exordos/images/ of
# this project in EXORDOS_MAIL_SOURCE. Running it again gives the same image.
# With EXORDOS_MAIL_EXIM=distribution exim4 is the distribution's own.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly SOURCE=${EXORDOS_MAIL_SOURCE:-/opt/exordos_metapaas}
readonly VENV=/opt/exordos_paas_mail
readonly UNITS=/etc/systemd/system
readonly BOOTSTRAP_SCRIPTS=/var/lib/exordos/bootstrap/scripts
readonly POLICY=/usr/sbin/policy-rc.d

# cloud-guest-utils has growpart, for a data disk that grew; dns-root-data the keys of the
# root that unbound validates by.
readonly PACKAGES=(
  ca-certificates cloud-guest-utils dns-root-data e2fsprogs logrotate python3 unbound
)
# bjoern, a dependency of the SDK, compiles against libev.
readonly BUILD_PACKAGES=(binutils gcc libc6-dev libev-dev python3-dev)

export DEBIAN_FRONTEND=noninteractive

say() {
  printf '[dp_install] %s\n' "$*"
}

die() {
  printf '[dp_install] %s\n' "$*" >&2
  exit 1
}

apt() {
  apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o APT::Keep-Downloaded-Packages=0 "$@"
}

the_wheel() {
  local -a wheels
  mapfile -t wheels < <(find "$SOURCE/dist" -maxdepth 1 -name 'exordos_paas_mail-*.whl')
  [[ ${#wheels[@]} -eq 1 ]] || die "$SOURCE/dist must hold one exordos_paas_mail wheel, not ${#wheels[@]}: run make wheel"
  printf '%s\n' "${wheels[0]}"
}

# Packages must not start their daemons: exim4 has no configuration of ours yet,
# and a build in a chroot would start it on the build host.
forbid_service_starts() {
  if [[ -e $POLICY ]]; then
    return
  fi
  install -m 0755 "$SOURCE/exordos/images/policy-rc.d" "$POLICY"
  trap 'rm -f "$POLICY"' EXIT
}

missing_packages() {
  local package status
  for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || status=none
    [[ $status == installed ]] || printf '%s\n' "$package"
  done
}

# What apt is to install: the package that build_exim.sh put into dist/, made
# from a version that the distribution has now. It is not let grow old in silence:
# the distribution's next version may be a fix that ours is without.
exim_package() {
  local -a packages
  local source newest offered
  if [[ ${EXORDOS_MAIL_EXIM:-} == distribution ]]; then
    printf 'exim4-daemon-light\n'
    return
  fi
  mapfile -t packages < <(find "$SOURCE/dist" -maxdepth 1 -name 'exim4-daemon-light_*.deb')
  [[ ${#packages[@]} -eq 1 ]] ||
    die "$SOURCE/dist must hold one exim4-daemon-light package, not ${#packages[@]}: exordos/images/build_exim.sh makes it"
  source=$(dpkg-deb --field "${packages[0]}" Version)
  source=${source%+mailaas*}
  offered=$(LC_ALL=C apt-cache madison exim4-base | awk -F ' *[|] *' 'NF == 3 && $3 ~ / Packages$/ {print $2}')
  newest=${offered%%$'\n'*}
  grep --quiet --line-regexp --fixed-strings -- "$source" <<<"$offered" ||
    die "${packages[0]##*/} was made from exim4 $source, and this distribution has $newest: see docs/relay.md, \"The patched exim4\""
  [[ $source == "$newest" ]] ||
    say "${packages[0]##*/} is without what exim4 $newest fixes: see docs/relay.md, \"The patched exim4\"" >&2
  printf '%s\n' "${packages[0]}"
}

check_exim() {
  local version changelog
  version=$(dpkg-query --show --showformat '${Version}' exim4-daemon-light)
  # From the package itself: an image may be set up not to unpack documentation.
  changelog=$(mktemp -d)
  (cd "$changelog" && apt-get --quiet download -o APT::Sandbox::User=root "exim4-base=${version%+mailaas*}" >/dev/null)
  dpkg-deb --fsys-tarfile "$changelog"/exim4-base_*.deb |
    tar --extract --to-stdout --wildcards './usr/share/doc/exim4-base/changelog.Debian*.gz' |
    gzip --decompress --stdout >"$changelog/text"
  "$SOURCE/exordos/images/check_exim_fixes.sh" "$version" "$(apt-mark showhold)" <"$changelog/text"
  rm -r "$changelog"
  say "exim4 $version has the fixes"
}

# The locked dependencies first, each checked against its hash, then the wheel
# alone: what was tested is what is installed.
install_package() {
  local wheel=$1 lock=$SOURCE/exordos/images/requirements.txt
  export UV_PYTHON_DOWNLOADS=never
  if [[ -z ${UV_CACHE_DIR:-} ]]; then
    export UV_NO_CACHE=1
  fi
  uv venv --quiet --clear --python /usr/bin/python3 "$VENV"
  uv pip install --quiet --python "$VENV" --compile-bytecode --require-hashes \
    --build-constraints "$lock" --requirements "$lock"
  uv pip install --quiet --python "$VENV" --compile-bytecode --no-deps --reinstall "$wheel"
  uv pip check --quiet --python "$VENV"
  # uv's lock, which anybody may write
  rm -f "$VENV/.lock"
  ln -sf "$VENV"/bin/exordos-mail-{configure,repair,status} /usr/local/sbin/
}

# A library the venv links against must survive the removal of its -dev package.
# Its own package name differs between distributions.
keep_linked_libraries() {
  local library packages
  library=$(ldd "$VENV"/lib/python3*/site-packages/_bjoern*.so | awk '$1 ~ /^libev\./ {print $3}')
  [[ -n $library ]] || return 0
  packages=$(dpkg-query --search "*/${library##*/}" | cut -d: -f1 | sort -u)
  # shellcheck disable=SC2086 # one word a package
  apt-mark manual $packages >/dev/null
}

# Every unit starts exim as its own user, and root's commands need no such help:
# nobody on the node becomes root by it. Kept through upgrades of the package.
drop_set_user_id() {
  dpkg-statoverride --list /usr/sbin/exim4 >/dev/null ||
    dpkg-statoverride --update --add root root 0755 /usr/sbin/exim4
}

install_files() {
  local unit
  install -d -m 0755 /etc/exordos_metapaas "$BOOTSTRAP_SCRIPTS"
  install -m 0644 -t /etc/exordos_metapaas "$SOURCE"/etc/exordos_metapaas/{logging.yaml,metapaas_mail_agent.conf}
  install -m 0755 "$SOURCE/exordos/images/dp_bootstrap.sh" \
    "$BOOTSTRAP_SCRIPTS/0100-metapaas-mail-dp-bootstrap.sh"
  install -m 0755 "$SOURCE/exordos/images/sweep_spool.sh" /usr/local/sbin/exordos-mail-sweep-spool
  install -m 0644 -t /etc/logrotate.d "$SOURCE/etc/logrotate.d/exim4-base"

  # Drop-in directories come along. A unit is enabled when it says where.
  cp --recursive --no-preserve=ownership "$SOURCE/etc/systemd/." "$UNITS/"
  for unit in "$SOURCE"/etc/systemd/*.*; do
    if [[ -f $unit ]] && grep --quiet '^\[Install\]' "$unit"; then
      systemctl enable --quiet "${unit##*/}"
    fi
  done
}

# Of unbound there is ours alone, exordos-mail-resolver: the package's own unit would take its
# port, and write itself into resolv.conf.
mask_units() {
  systemctl disable --quiet unbound.service
  systemctl mask --quiet unbound.service unbound-resolvconf.service
}

# Mount points of the data disk. They stay empty in the image: a key baked in
# here would be shared by every customer.
make_directories() {
  install -d -m 0750 -o root -g Debian-exim /etc/exim4/dkim /etc/exim4/tls
  install -d -m 0700 /var/lib/exordos/exordos_paas_mail
  # Where the node exporter of the base image looks for metrics; its own where it has it
  [[ -d /var/lib/exordos/node_exporter ]] || install -d -m 0755 /var/lib/exordos/node_exporter
  local found
  found=$(find /etc/exim4 \( -path '/etc/exim4/dkim/*' -o -path '/etc/exim4/tls/*' \
    -o -name '*.key' -o -name '*.private' -o -name '*.pem' -o -name exim4.conf \))
  [[ -z $found ]] || die "a node makes these itself, they do not belong in an image: $found"
}

main() {
  [[ $(id -u) -eq 0 ]] || die 'must run as root'
  local wheel
  wheel=$(the_wheel)
  forbid_service_starts

  say 'installing packages'
  apt update >/dev/null
  apt dist-upgrade >/dev/null
  local -a build_only
  local exim
  exim=$(exim_package)
  mapfile -t build_only < <(missing_packages "${BUILD_PACKAGES[@]}")
  apt install --no-install-recommends --allow-change-held-packages \
    "${PACKAGES[@]}" "$exim" "${BUILD_PACKAGES[@]}" >/dev/null
  # An upgrade on a node would replace ours in silence; a new image brings the next.
  [[ $exim == exim4-daemon-light ]] || apt-mark hold exim4-daemon-light >/dev/null
  check_exim
  drop_set_user_id

  say "installing ${wheel##*/}"
  install_package "$wheel"
  keep_linked_libraries
  if ((${#build_only[@]})); then
    apt purge --auto-remove "${build_only[@]}" >/dev/null
  fi

  install_files
  mask_units
  make_directories
  rm -rf /var/lib/apt/lists/*
  say 'done'
}

main "$@"
