#!/usr/bin/python3
"""Lets a shared library take a version of symbols of another library's for an older one.

usage: lower_symbol_version.py FILE NEEDED FROM TO

The symbols that FILE takes from the library NEEDED in version FROM it takes in version TO from then on, which it takes other
symbols in. For symbols that the older version has, too, with the same arguments. Layout: "Linux Standard Base", Symbol Versioning.
"""

import struct
import sys


def elf_hash(name):
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value


def main(path, needed, old, new):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    if data[:4] != b"\x7fELF" or data[5] != 1:
        sys.exit(f"{path}: not a little-endian ELF file")
    wide = data[4] == 2
    # Elf64_Ehdr and Elf64_Shdr, or those of 32 bits.
    (sections,) = struct.unpack_from("<Q" if wide else "<I", data, 0x28 if wide else 0x20)
    size, count = struct.unpack_from("<HH", data, 0x3A if wide else 0x2E)

    def section(index):
        return struct.unpack_from("<IIQQQQIIQQ" if wide else "<10I", data, sections + index * size)

    SHT_GNU_VERNEED = 0x6FFFFFFE
    verneed = next((section(i) for i in range(count) if section(i)[1] == SHT_GNU_VERNEED), None)
    if verneed is None:
        sys.exit(f"{path}: takes no versioned symbols")
    strings = section(verneed[6])[4]

    def text(offset):
        start = strings + offset
        return data[start : data.index(0, start)].decode()

    offset = verneed[4]
    for _ in range(verneed[7]):
        _, entries, file, first, following = struct.unpack_from("<HHIII", data, offset)
        if text(file) == needed:
            versions = {}
            entry = offset + first
            for _ in range(entries):
                name, step = struct.unpack_from("<II", data, entry + 8)
                versions[text(name)] = (entry, name)
                entry += step
            if old not in versions:
                return print(f"{path}: takes nothing of {old} from {needed}")
            if new not in versions:
                sys.exit(f"{path}: takes nothing of {new} from {needed}")
            struct.pack_into("<I", data, versions[old][0], elf_hash(new))
            struct.pack_into("<I", data, versions[old][0] + 8, versions[new][1])
            with open(path, "wb") as file:
                file.write(data)
            return None
        offset += following
    sys.exit(f"{path}: takes nothing from {needed}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
