"""Where the studies of this folder run what the device does: here, or under a launcher such as "qemu-aarch64 -cpu cortex-a72
-L SYSROOT" with the programs of another target, which are the script's first two arguments."""
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOST = ROOT / "build/x86_64/bin"
ARGUMENTS = sys.argv[3:]  # behind launcher and programs
LAUNCHER = shlex.split(sys.argv[1]) if len(sys.argv) > 2 else []
DEVICE = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HOST


def run(*command):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout


def figment(*arguments):
    """Runs figment on the device."""
    return run(*LAUNCHER, DEVICE / "figment", *arguments)
