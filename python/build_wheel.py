#!/usr/bin/python3
"""Packs the Python package, the library, the programs and what they are linked with into a wheel.

usage: build_wheel.py BUILD SYSROOT ARCHITECTURE OUTPUT-FOLDER

BUILD is a build folder of a preset release_*; ARCHITECTURE is the wheel's: x86_64, aarch64, armv7l. Prints the wheel's path. Needs
patchelf, llvm-readelf-19 and the Python package wheel.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# The libraries that come along, under names of their own: a process may have loaded others of the same name.
CARRIED = ("XNNPACK", "pthreadpool", "cpuinfo")
# The Debian packages of what is in the wheel beside our own, whose licenses it carries.
LICENSES = ("libxnnpack0.20241108", "libpthreadpool0", "libcpuinfo0", "libprotobuf-dev", "libpng-dev", "zlib1g-dev", "libturbojpeg0-dev",
            "libfmt-dev", "libcli11-dev", "nlohmann-json3-dev", "libeigen3-dev", "libflatbuffers-dev", "libonnx-dev", "libstdc++-14-dev")
PYTHON = ">=3.9"
PROGRAMS = ("figment", "figment-convert")


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def needed(path):
    return run("patchelf", "--print-needed", path).split()


def carry(sysroot, package):
    """Copies the libraries, and lets all find each other by the new names."""
    folder = next((sysroot / "usr/lib").glob("*-linux-gnu*/libXNNPACK.so")).parent
    names = {}
    for name in CARRIED:
        source = (folder / f"lib{name}.so").resolve()
        soname = run("patchelf", "--print-soname", source).strip()
        names[soname] = soname.replace(f"lib{name}", f"lib{name}-figment")
        shutil.copy(source, package / "lib" / names[soname])
    for path in (*(package / "lib").iterdir(), *(package / "bin").iterdir()):
        path.chmod(0o755)
        # One change a call: patchelf loses some of several.
        for old in needed(path):
            if old in names:
                run("patchelf", "--replace-needed", old, names[old], path)
        if path.name in names.values():
            run("patchelf", "--set-soname", path.name, path)
        run("patchelf", "--set-rpath", "$ORIGIN" if path.parent.name == "lib" else "$ORIGIN/../lib", path)
        if any(old in names for old in needed(path)):
            sys.exit(f"build_wheel.py: {path.name} still looks for {needed(path)}")


def glibc(package):
    """The oldest C library that has all that is called of it."""
    versions = set()
    for path in (*(package / "lib").iterdir(), *(package / "bin").iterdir()):
        versions |= {tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", run("llvm-readelf-19", "-V", path))}
    return max(versions)


def write_metadata(root, version, tag, sysroot, source):
    info = root / f"figment-{version}.dist-info"
    (info / "licenses").mkdir(parents=True)
    shutil.copy(source / "LICENSE", info / "licenses/LICENSE")
    for package in LICENSES:
        text = sysroot / "usr/share/doc" / package / "copyright"
        shutil.copy(text, info / "licenses" / f"{package}.txt")
    (info / "METADATA").write_text(f"""Metadata-Version: 2.1
Name: figment
Version: {version}
Summary: Deep generative models on small devices
License: Apache-2.0
Requires-Python: {PYTHON}
Requires-Dist: numpy>=1.22
Provides-Extra: fleet
Requires-Dist: flwr[simulation]>=1.20; extra == "fleet"
Provides-Extra: privacy
Requires-Dist: dp-accounting>=0.4; extra == "privacy"
Provides-Extra: torch
Requires-Dist: torch; extra == "torch"
Requires-Dist: onnx; extra == "torch"
Requires-Dist: onnxscript; extra == "torch"
Provides-Extra: tune
Requires-Dist: optuna>=4; extra == "tune"
Requires-Dist: matplotlib; extra == "tune"
Description-Content-Type: text/markdown

{(source / "python/README.md").read_text()}""")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: figment\nRoot-Is-Purelib: false\nTag: {tag}\n")
    # Not entry points, which would import NumPy before a program starts.
    scripts = root / f"figment-{version}.data/scripts"
    scripts.mkdir(parents=True)
    for program in PROGRAMS:
        shutil.copy(source / "python/start_program.py", scripts / program)
        (scripts / program).chmod(0o755)


def main(build, sysroot, architecture, output):
    source = pathlib.Path(__file__).resolve().parent.parent
    build, sysroot, output = (pathlib.Path(path).resolve() for path in (build, sysroot, output))
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "wheel"
        package = root / "figment"
        shutil.copytree(build / "python/figment", package, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("lib", "bin"):
            (package / part).mkdir()
        shutil.copy((build / "wheel/libfigment.so.0").resolve(), package / "lib/libfigment.so.0")
        for program in PROGRAMS:
            shutil.copy(build / "wheel" / program, package / "bin" / program)
        carry(sysroot, package)
        version = re.search(r'"(.*)"', (package / "_version.py").read_text())[1]
        tag = "py3-none-manylinux_{}_{}_{}".format(*glibc(package), architecture)
        write_metadata(root, version, tag, sysroot, source)
        run(sys.executable, "-m", "wheel", "pack", root, "--dest-dir", folder)
        wheel = output / f"figment-{version}-{tag}.whl"
        for older in output.glob(f"figment-*{architecture}.whl"):
            older.unlink()
        shutil.move(next(pathlib.Path(folder).glob("*.whl")), wheel)
        print(wheel)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
