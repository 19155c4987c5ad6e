# Sourced by the tests of this folder, each of which types what users type: NAME_test.sh LAUNCHER BIN MODELS [CONVERT ONNX].
# LAUNCHER is an emulator or "", MODELS the folder of converted models, ONNX that of the sources; where there is no
# converter, there is no CONVERT.
set -u
launcher=$1 bin=$2 models=$3 convert=${4:-} onnx=${5:-}
data=$(dirname "$0")/../data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# check NAME EXPECTED-STATUS PATTERN COMMAND...: runs it; its status and its output (both streams) must match.
check() {
  name=$1 status=$2 pattern=$3
  shift 3
  "$@" > "$work/out" 2>&1
  actual=$?
  if [ "$actual" = "$status" ] && { [ -z "$pattern" ] || grep -q -e "$pattern" "$work/out"; }; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED $name: status $actual (expected $status), expected \"$pattern\" in:"
    cat "$work/out"
  fi
}
expect() {
  if eval "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi
}
figment="$launcher $bin/figment"
# Beside a model that is trained without --out lies what it has become.
cp "$models"/tiny_*.figment "$work"
# in_terminal COMMAND: what a terminal of 80 columns shows of it.
in_terminal() {
  script -qec "stty cols 80; $1" /dev/null 2>&1 | tr '\r' '\n'
}

# In the end: says how many checks passed, and fails if one failed.
summary() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
