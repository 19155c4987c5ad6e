#!/bin/sh
# Puts Debian 13 packages into a private folder, without root, and prints the folder's path.
#
#   fetch_debian.sh sysroot ARCH     the packages that target ARCH (amd64, arm64, armhf) is built against
#   fetch_debian.sh manylinux ARCH   the same with the C library of Debian 12, for programs that run on older systems, too
#   fetch_debian.sh python ARCH      a Python of Debian 13 with NumPy, to test the Python package with
#   fetch_debian.sh mirror           prints the mirror's address alone
#   fetch_debian.sh data NAME        one data package alone: fashion-mnist, onnx-tests
#   fetch_debian.sh clean            removes everything that this script has made
#
# The mirror is the one that the machine's own apt is configured with; apt checks the archive's signature.
# Folders live in $FIGMENT_CACHE (default: $XDG_CACHE_HOME/figment, else ~/.cache/figment), each under a key made
# of its package versions, and are complete or absent: they are unpacked beside their place and renamed. A
# manifest of names and sizes is checked at every use; a folder that fails is made again. Set
# FIGMENT_CACHE_UPDATE=1 to look for newer package versions.
set -eu

cache=${FIGMENT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/figment}
suite=trixie
suite_alias=stable  # as long as it is the same release
older_suite=bookworm
older_suite_alias=oldstable
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

target_packages="libc6-dev libstdc++-14-dev libxnnpack-dev libpthreadpool-dev libcpuinfo-dev libflatbuffers-dev flatbuffers-compiler libpng-dev
  nlohmann-json3-dev libcli11-dev libfmt-dev libeigen3-dev libturbojpeg0-dev doctest-dev libonnx-dev libprotobuf-dev protobuf-compiler"

python_packages="python3 python3-venv python3-numpy python3-pytest"

fail() { echo "fetch_debian.sh: $*" >&2; exit 1; }

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# The first Debian mirror in the machine's apt configuration.
mirror() {
  apt-get indextargets --format '$(REPO_URI) $(LABEL)' 2>/dev/null | awk '$2 == "Debian" { print $1; exit }'
}

manifest() { (cd "$1" && find . -type f ! -name .manifest -printf '%s %p\n' | LC_ALL=C sort | sha256sum); }

valid() { [ -f "$1/.manifest" ] && [ "$(cat "$1/.manifest")" = "$(manifest "$1")" ]; }

# apt with a state of its own; $1 is the architecture, the rest goes to the command.
private_apt() {
  arch=$1; shift
  state=$cache/apt-$suite-$arch
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/etc/preferences.d" "$state/etc/apt.conf.d"
  : > "$state/status"
  cat > "$state/apt.conf" <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc "$state/etc";
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$state";
Dir::State::status "$state/status";
Dir::Cache "$state";
CONF
  APT_CONFIG=$state/apt.conf "$@"
}

# Makes folder $2 for architecture $1 out of packages $4..; $3 is "closure" (with dependencies) or "only".
fetch() {
  arch=$1 name=$2 how=$3; shift 3
  request=$(echo "$*" | sha256sum | cut -c1-12)
  link=$cache/$name-$request
  if [ -z "${FIGMENT_CACHE_UPDATE:-}" ] && [ -L "$link" ] && valid "$link"; then
    echo "$link"
    return
  fi
  mkdir -p "$cache"
  exec 9> "$cache/$name.lock"
  if command -v flock > /dev/null; then flock 9; fi
  uri=$(mirror)
  [ -n "$uri" ] || fail "no Debian mirror in apt's configuration; run 'apt-get update' as root first"
  [ -f $keyring ] || fail "$keyring is missing; install debian-archive-keyring"
  echo "fetching $name (Debian $suite, $arch) ..." >&2
  mkdir -p "$cache/apt-$suite-$arch"
  log=$cache/apt-$suite-$arch/log
  : > "$log"
  # A mirror in the middle of its synchronization may have one name of the release whole and the other not.
  for name_of_suite in $suite $suite_alias none; do
    [ "$name_of_suite" != none ] || { cat "$log" >&2; fail "apt-get update failed"; }
    echo "deb [signed-by=$keyring] $uri $name_of_suite main" > "$cache/apt-$suite-$arch/sources.list"
    private_apt "$arch" apt-get -q update -o APT::Update::Error-Mode=any >> "$log" 2>&1 || continue
    grep -qs "^Codename: $suite$" "$cache/apt-$suite-$arch/lists/"*_dists_"$name_of_suite"_InRelease && break
  done
  if [ "$how" = closure ]; then
    list=$(private_apt "$arch" apt-get -q install -y --print-uris "$@" 2>> "$log" | awk '/^'\''/ { print $2 }')
  else
    list=$(private_apt "$arch" apt-get -q download --print-uris "$@" 2>> "$log" | awk '/^'\''/ { print $2 }')
  fi
  [ -n "$list" ] || { cat "$log" >&2; fail "apt cannot resolve: $*"; }
  key=$(echo "$list" | sha256sum | cut -c1-12)
  folder=$cache/$name-$request-$key
  if ! { [ -d "$folder" ] && valid "$folder"; }; then
    work=$(mktemp -d "$cache/$name.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/deb" "$work/root"
    if [ "$how" = closure ]; then
      private_apt "$arch" apt-get -q install -y -d "$@" >> "$log" 2>&1 || { cat "$log" >&2; fail "download failed"; }
      mv "$cache/apt-$suite-$arch/archives/"*.deb "$work/deb/"
    else
      (cd "$work/deb" && private_apt "$arch" apt-get -q download "$@") >> "$log" 2>&1 ||
        { cat "$log" >&2; fail "download failed"; }
    fi
    for deb in "$work/deb/"*.deb; do
      dpkg-deb -x "$deb" "$work/root" || fail "cannot unpack $deb"
      # What packages that are made against these depend on is found out by it.
      [ "$how" = only ] || { mkdir -p "$work/root/.control" && dpkg-deb -e "$deb" "$work/root/.control/$(dpkg-deb -f "$deb" Package)"; }
    done
    [ "$how" = only ] || for directory in lib lib64; do
      [ -e "$work/root/$directory" ] || ln -s "usr/$directory" "$work/root/$directory"
    done
    manifest "$work/root" > "$work/root/.manifest"
    rm -rf "$folder"
    mv "$work/root" "$folder"
    rm -rf "$work"
    trap - EXIT
  fi
  ln -sfn "$(basename "$folder")" "$link"
  echo "$link"
}

# The sysroot of ARCH with the C library of Debian 12: what is linked against it asks for no newer one. XNNPACK asks for
# the fmodf of 2.38, which differs from the oldest in errno alone.
fetch_manylinux() {
  case $1 in amd64) oldest=GLIBC_2.2.5 ;; arm64) oldest=GLIBC_2.17 ;; armhf) oldest=GLIBC_2.4 ;; esac
  sysroot=$(fetch "$1" "sysroot-$1" closure $target_packages)
  libc=$(suite=$older_suite suite_alias=$older_suite_alias; fetch "$1" "libc-$1" only libc6 libc6-dev)
  exec 9> "$cache/manylinux-$1.lock"
  if command -v flock > /dev/null; then flock 9; fi
  folder=$cache/manylinux-$1-$(echo "$(readlink "$sysroot") $(readlink "$libc")" | sha256sum | cut -c1-12)
  if ! { [ -d "$folder" ] && valid "$folder"; }; then
    work=$(mktemp -d "$cache/manylinux-$1.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cp -a "$sysroot/." "$work"
    rm "$work/.manifest"
    for part in usr lib lib64; do
      [ ! -d "$libc/$part" ] || cp -a --remove-destination "$libc/$part/." "$work/$part/"
    done
    find "$work/usr" -lname '/*' | while read -r link; do ln -sfnr "$work$(readlink "$link")" "$link"; done
    for library in "$work"/usr/lib/*/libXNNPACK.so.0.*; do
      "$(dirname "$0")/lower_symbol_version.py" "$library" libm.so.6 GLIBC_2.38 $oldest >&2
    done
    manifest "$work" > "$work/.manifest"
    chmod 755 "$work"
    rm -rf "$folder"
    mv "$work" "$folder"
    trap - EXIT
  fi
  echo "$folder"
}

case "${1:-} ${2:-}" in
  "sysroot amd64" | "sysroot arm64" | "sysroot armhf") fetch "$2" "sysroot-$2" closure $target_packages ;;
  "manylinux amd64" | "manylinux arm64" | "manylinux armhf") fetch_manylinux "$2" ;;
  "python amd64" | "python arm64" | "python armhf") fetch "$2" "python-$2" closure $python_packages ;;
  "mirror ") mirror ;;
  "data fashion-mnist") echo "$(fetch amd64 fashion-mnist only dataset-fashion-mnist)/usr/share/datasets/fashion-mnist" ;;
  "data onnx-tests")
    echo "$(fetch amd64 onnx-tests only libonnx-testdata)/usr/lib/python3/dist-packages/onnx/backend/test/data" ;;
  "clean ") rm -rf "$cache"/sysroot-* "$cache"/manylinux-* "$cache"/libc-* "$cache"/python-* "$cache"/fashion-mnist* "$cache"/onnx-tests* "$cache"/apt-* ;;
  *) usage ;;
esac
