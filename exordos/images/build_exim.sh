#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Put the relay's exim4-daemon-light into a directory: build_exim.sh DIRECTORY
#
# It is this machine's distribution's own package with our patches, of the version
# apt would install. Where that is one the patches were not made for yet, it is the
# newest that they were made for and that apt still offers, and it is said so. Built
# once, then taken from .cache/exim, where it lies under the digest of this script,
# the patches and the version. The rest of exim4 (exim4-base, exim4-config) stays
# the distribution's.
#
# The build happens in a layer in memory over this machine's file system, so that
# compilers and headers leave nothing behind. Needs root; uses sudo otherwise.
#
# Fails, and says what to do, when the distribution has no version that the
# patches were made for, or when a patch does not apply to the line.
#
# With EXORDOS_MAIL_EXIM=distribution nothing is built, and nothing of ours is
# left in DIRECTORY: the distribution's own package is what gets installed.
set -Eeuo pipefail
shopt -s inherit_errexit

# Pattern of the versions | patches for them. A new version goes in here once the
# relay's tests have passed with it (docs/relay.md, "The patched exim4").
readonly KNOWN=(
  '4.96-15+deb12u10|exim_line_ends exim_shared_authorities exim_dns_failures exim_server_names exim_4.96_address_literal exim_4.96_regex_memory exim_4.96_hints exim_4.96_in_process'
  '4.97-4ubuntu4.*|exim_line_ends exim_shared_authorities exim_dns_failures exim_server_names'
)
readonly SUFFIX=+mailaas1
readonly PACKAGE=exim4-daemon-light
# The distribution's Build-Depends without those of the other packages it makes
# (heavy, monitor, documentation).
readonly BUILD_PACKAGES=(
  debhelper dpkg-dev gcc libc6-dev libdb5.3-dev libgnutls28-dev libidn-dev libidn2-dev
  libident-dev libnsl-dev libpcre2-dev make patch po-debconf
)

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# The names of the patches for a version of the distribution; fails where it is not known.
known() {
  local version=$1 entry
  for entry in "${KNOWN[@]}"; do
    # shellcheck disable=SC2053 # a pattern
    if [[ $version == ${entry%%|*} ]]; then
      printf '%s\n' "${entry#*|}"
      return
    fi
  done
  return 1
}

# The patches for a version of the distribution, one a line.
patches_for() {
  local version=$1 names patch
  if names=$(known "$version"); then
    for patch in $names; do
      printf '%s/%s.patch\n' "$here" "$patch"
    done
    return
  fi
  die "The distribution's $PACKAGE is $version, which our patches were not made for." \
    "Known: ${KNOWN[*]%%|*}. Try them on it, then add it to KNOWN in exordos/images/build_exim.sh" \
    "(docs/relay.md, \"The patched exim4\")."
}

apply() {
  local tree=$1 patch
  shift
  for patch in "$@"; do
    patch --directory "$tree" --strip 1 --fuzz 0 --forward --batch --no-backup-if-mismatch <"$patch" ||
      die "${patch##*/} does not apply to this exim4. Nothing was built." \
        "Make it anew (docs/relay.md, \"The patched exim4\")."
  done
}

# What apt would install, or the newest that is known. A fresh machine has no package lists.
candidate() {
  local version older
  version=$(policy_candidate)
  if [[ -z $version ]]; then
    "${become[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
    version=$(policy_candidate)
  fi
  [[ -n $version ]] || die "apt knows no $PACKAGE here."
  if ! known "$version" >/dev/null; then
    for older in $(offered); do
      known "$older" >/dev/null || continue
      printf '%s\n' "$PACKAGE $version is out, which our patches were not made for: this is $older," \
        "without what is fixed since (docs/relay.md, \"The patched exim4\")." >&2
      version=$older
      break
    done
  fi
  printf '%s\n' "$version"
}

# All versions that can be had, the newest first.
offered() {
  LC_ALL=C apt-cache madison "$PACKAGE" | awk -F ' *[|] *' 'NF == 3 && $3 ~ / Packages$/ {print $2}'
}

policy_candidate() {
  LC_ALL=C apt-cache policy "$PACKAGE" | awk '$1 == "Candidate:" && $2 != "(none)" {print $2}'
}

# The sources that apt has configured, asked for source packages as well.
source_lists() {
  local parts=$1 file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    if [[ -f $file ]]; then
      sed -nE 's/^deb[[:space:]]/deb-src /p' "$file" >"$parts/${file##*/}.list"
    fi
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    if [[ -f $file ]]; then
      sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$parts/${file##*/}"
    fi
  done
}

# The first stage: a root file system to build in.
make_root() {
  local layer=$1 result=$2 version=$3
  shift 3
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 exim-build "$layer"
  local root=$layer/root shared
  mkdir "$layer/upper" "$layer/work" "$root"
  mount -t overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" exim-build "$root"
  for shared in /proc /sys /dev; do
    mount --rbind "$shared" "$root$shared"
  done
  mount -t tmpfs -o mode=755 run "$root/run"
  mount -t tmpfs -o mode=1777 tmp "$root/tmp"
  mkdir -p "$root/run/exim/patches" "$root/run/exim/result" "$root/run/exim/archives"
  mount --bind "$result" "$root/run/exim/result"
  mkdir -p "$cache/archives/partial"
  mount --bind "$cache/archives" "$root/run/exim/archives"
  # Where the resolver's file is a link into /run
  cat /etc/resolv.conf >"$root/run/exim/resolv.conf"
  mount --bind "$root/run/exim/resolv.conf" "$root$(readlink -m "$root/etc/resolv.conf" | sed "s|^$root||")"
  cp "$@" "$root/run/exim/patches/"
  cp "${BASH_SOURCE[0]}" "$root/run/exim/build_exim.sh"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    bash /run/exim/build_exim.sh --inside "$version" "${@##*/}"
}

# The second stage, in that root.
build() {
  local version=$1 patch
  shift
  local -a options=(-qq -o Dir::Cache::archives=/run/exim/archives -o APT::Sandbox::User=root
    -o Debug::NoLocking=1 -o APT::Keep-Downloaded-Packages=true)
  cd /run/exim
  mkdir parts lists lists/partial tree
  source_lists parts
  local -a sources=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/run/exim/parts
    -o Dir::State::lists=/run/exim/lists)
  apt-get "${options[@]}" "${sources[@]}" update
  # Not only the headers: a machine's lists may name packages that are gone.
  apt-get "${options[@]}" update
  apt-get "${options[@]}" -y --no-install-recommends install "${BUILD_PACKAGES[@]}"
  (cd tree && apt-get "${options[@]}" "${sources[@]}" --only-source source "exim4=$version")
  cd tree/exim4-*/
  apply . "${@/#//run/exim/patches/}"
  add_changelog "$version"
  compile
  package /run/exim/result
}

add_changelog() {
  {
    printf 'exim4 (%s%s) UNRELEASED; urgency=medium\n\n' "$1" "$SUFFIX"
    for patch in /run/exim/patches/*; do
      sed -n 's/^Description: /  * /p' "$patch"
    done
    # The day of the version it is made from: the same input gives the same package.
    printf '\n -- The mailaas authors <mailaas@localhost>  %s\n\n' "$(dpkg-parsechangelog -S Date)"
    cat debian/changelog
  } >debian/changelog.new
  mv debian/changelog.new debian/changelog
}

compile() {
  sed -i "s/^daemons = .*/daemons = $PACKAGE/" debian/rules
  debian/rules override_dh_auto_configure
  # The monitor is another package's, and wants X.
  sed -i '/^EXIM_MONITOR/d' "b-$PACKAGE/Local/Makefile"
  # Nothing asks NIS here, and each of a message's forks copies the mappings of its libraries,
  # Kerberos among them.
  sed -i '/^LOOKUP_NIS=/d; /^LIBS += -lnsl$/d' "b-$PACKAGE/Local/Makefile"
  if grep -E '^LOOKUP_NIS=|-lnsl' "b-$PACKAGE/Local/Makefile"; then
    die "This exim4 asks for NIS in lines that are not known (compile in build_exim.sh). Nothing was built."
  fi
  MAKEFLAGS=-j$(nproc) debian/rules override_dh_auto_build
}

# What the distribution's `dh binary` does, for the one package.
package() {
  export DH_OPTIONS=-p$PACKAGE DEB_BUILD_OPTIONS=noautodbgsym
  dh_prep
  dh_installdirs
  install -m 4755 b-"$PACKAGE"/build-*/exim "debian/$PACKAGE/usr/sbin/exim4"
  dh_install
  dh_installdocs
  dh_installchangelogs -XCHANGES -Xdoc/ChangeLog
  dh_installdebconf
  dh_bugfiles
  dh_lintian
  dh_link
  dh_strip
  dh_compress
  dh_fixperms -Xusr/sbin/exim4
  dh_installdeb
  dh_shlibdeps
  debian/rules override_dh_gencontrol
  dh_md5sums
  dh_builddeb --destdir "$1"
}

main() {
  case ${1-} in
  --inside)
    build "${@:2}"
    return
    ;;
  --root)
    cache=$2
    make_root "${@:3}"
    return
    ;;
  --version)
    candidate
    return
    ;;
  --patches)
    patches_for "$2"
    return
    ;;
  --apply)
    apply "${@:2}"
    return
    ;;
  esac
  (($# == 1)) || die 'Usage: build_exim.sh DIRECTORY'
  local directory=$1 version key home layer status=0
  local -a patches become=()
  mkdir -p "$directory"
  if [[ ${EXORDOS_MAIL_EXIM:-} == distribution ]]; then
    find "$directory" -name "${PACKAGE}_*.deb" -delete
    return
  fi
  [[ $(id -u) -eq 0 ]] || become=(sudo --)
  version=$(candidate)
  mapfile -t patches < <(patches_for "$version")
  ((${#patches[@]})) || exit 1
  key=$({ printf '%s %s\n' "$version" "$(dpkg --print-architecture)" && cat "${BASH_SOURCE[0]}" "${patches[@]}"; } |
    sha256sum | cut -c1-12)
  cache=$(cd "$here/../.." && pwd)/.cache/exim
  home=$cache/$version-$key
  mkdir -p "$cache"
  exec {lock}>"$cache/lock"
  flock "$lock"
  if [[ ! -d $home ]]; then
    printf 'Building %s %s\n' "$PACKAGE" "$version$SUFFIX"
    layer=$(mktemp -d)
    rm -rf "$cache/partial"
    mkdir "$cache/partial"
    "${become[@]}" unshare --mount "${BASH_SOURCE[0]}" --root "$cache" "$layer" "$cache/partial" \
      "$version" "${patches[@]}" >"$cache/build.log" 2>&1 || status=$?
    rmdir "$layer"
    if ((status)); then
      tail -n 20 "$cache/build.log" >&2
      die "Building exim4 failed, see $cache/build.log"
    fi
    mv "$cache/partial" "$home"
  fi
  find "$directory" -name "${PACKAGE}_*.deb" ! -name "${PACKAGE}_$version${SUFFIX}_*" -delete
  # Somebody may be installing the one that is there.
  install --mode 0644 "$home/$PACKAGE"_*.deb "$directory/.partial"
  mv "$directory/.partial" "$directory/$(basename "$home/$PACKAGE"_*.deb)"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
main "$@"
