#!/bin/sh
# Installs the Debian packages for this machine's architecture on a bare Debian 13, uses them, and removes them again.
# usage: install_test.sh PACKAGES SOURCE. Needs mmdebstrap, and root or user namespaces.
set -eu
packages=$(readlink -f "$1") source=$(readlink -f "$2")
mirror=$("$source/cmake/fetch_debian.sh" mirror)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$packages"/*.deb "$source/models/gan/gan_int8.figment" "$source/models/dgan/generator.onnx" "$work/"
cat > "$work/use.sh" << 'TEXT'
set -eu
cd /given
apt-get install -y -q --no-install-recommends ./*.deb
figment --version
figment generate gan_int8.figment --seed 7 -n 4 -o /tmp/samples.npy
figment-convert generator.onnx -o /tmp/model.figment --quiet
python3 -c 'import figment, numpy
assert (figment.Model("gan_int8.figment").generate(4, seed=7).ravel() == numpy.load("/tmp/samples.npy").ravel()).all()
assert figment.convert("generator.onnx", int8=True).generate(2).shape == (2, 1, 28, 28)'
python3 -c 'import importlib.metadata; assert importlib.metadata.version("figment")'
apt-get purge -y -q libfigment0 figment-tools
left=$(find / -xdev -iname '*figment*' ! -path '/given/*' ! -path '/tmp/*' ! -path '/proc/*')
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
TEXT
mmdebstrap --quiet --variant=apt --customize-hook='mkdir "$1/given"' --customize-hook="copy-in $work/. /given" \
  --customize-hook='chroot "$1" sh /given/use.sh' trixie /dev/null "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" \
  > "$work/log" 2>&1 || { tail -40 "$work/log" >&2; exit 1; }
grep -q '^figment [0-9]' "$work/log"
echo "install_test: passed"
