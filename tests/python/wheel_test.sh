#!/bin/sh
# Passes the tests of the Python package on a wheel.
# usage: wheel_test.sh SOURCE WHEEL                       in a fresh virtual environment of this machine's Python
#        wheel_test.sh SOURCE WHEEL ROOT LAUNCHER...      with the Python of ROOT (`fetch_debian.sh python ARCH`), whose programs
#                                                         LAUNCHER starts
set -eu
source=$(readlink -f "$1") wheel=$(readlink -f "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1
host=/usr/bin/python3
$host -m venv --system-site-packages "$work/venv"
if [ $# = 0 ]; then
  "$work/venv/bin/python" -m pip install -q --no-index --no-deps "$wheel"
  "$work/venv/bin/python" -m pytest -q -p no:cacheprovider "$source/tests/python"
  exit
fi
root=$(readlink -f "$1")
shift
# The wheel's own name says what it may be installed on.
platform=${wheel##*-}
"$work/venv/bin/python" -m pip install -q --no-index --no-deps --target "$work/site" --only-binary=:all: --platform "${platform%.whl}" "$wheel"

# Scripts that start what the emulated Python starts.
libraries=$(for folder in "$root"/usr/lib/*/blas "$root"/usr/lib/*/lapack; do printf '%s:' "$folder"; done)
case $1 in qemu-*) launcher="$* -L $root -E LD_LIBRARY_PATH=$libraries" ;; *) launcher="$* --library-path $libraries$(echo "$root"/usr/lib/*-linux-gnu*)" ;; esac
start() { printf '#!/bin/sh\nexec %s %s "$@"\n' "$launcher" "$2" > "$work/$1" && chmod +x "$work/$1"; }
start python "$root/usr/bin/python3"
for program in figment figment-convert; do start $program "$work/site/figment/bin/$program"; done
FIGMENT_PROGRAMS=$work FIGMENT_TEST_PYTHON=$work/python PYTHONHOME=$root/usr PYTHONPATH=$work/site:$root/usr/lib/python3/dist-packages \
  "$work/python" -m pytest -q -p no:cacheprovider "$source/tests/python"
