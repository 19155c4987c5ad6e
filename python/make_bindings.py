#!/usr/bin/python3
"""Writes the ctypes module of the C API from figment.h, as clang reads it.

usage: make_bindings.py CLANG HEADER INCLUDE... > _c.py
"""

import json
import re
import subprocess
import sys

SCALARS = {
    "bool": "c_bool", "_Bool": "c_bool", "float": "c_float", "double": "c_double", "size_t": "c_size_t",
    "uint8_t": "c_uint8", "uint32_t": "c_uint32", "int32_t": "c_int32", "uint64_t": "c_uint64",
}


def ctype(text, structs, enums):
    """The ctypes name of a type of C. Text is bytes; other pointers are addresses."""
    text = text.strip()
    array = re.fullmatch(r"(.*)\[(\d+)\]", text)
    if array:
        return f"{ctype(array[1], structs, enums)} * {array[2]}"
    plain = re.sub(r"\b(const|struct|enum)\b", "", text).strip()
    plain = re.sub(r"\s+", " ", plain)
    if plain == "char *":
        return "c_char_p"
    if plain == "char":
        return "c_char"
    if "*" in plain or "(" in plain or plain == "fig_observer":
        return "c_void_p"
    if plain in SCALARS:
        return SCALARS[plain]
    if plain in structs:
        return plain
    if plain in enums:
        return "c_int32"
    sys.exit(f"make_bindings.py: no ctypes type for {text}")


def main(clang, header, *includes):
    dump = subprocess.run(
        [clang, "-x", "c", "-std=c11", "-fsyntax-only", *(f"-I{path}" for path in includes), "-Xclang", "-ast-dump=json", header],
        check=True, capture_output=True, text=True)
    nodes = json.loads(dump.stdout)["inner"]
    named = [node for node in nodes if node.get("name", "").startswith(("fig_", "FIG"))]
    structs = {node["name"]: [(field["name"], field["type"]["qualType"]) for field in node["inner"] if field["kind"] == "FieldDecl"]
               for node in nodes if node["kind"] == "RecordDecl" and node.get("name", "").startswith("fig_") and "inner" in node}
    enums = {node["name"] for node in named if node["kind"] == "EnumDecl"}

    print(f'"""{header.rsplit("/", 1)[-1]} by ctypes, made by make_bindings.py."""\n')
    print("from ctypes import Structure, c_bool, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p\n")
    for node in nodes:
        if node["kind"] != "EnumDecl":
            continue
        value = -1
        for constant in node.get("inner", []):
            if constant["kind"] != "EnumConstantDecl" or not constant["name"].startswith("FIG"):
                continue
            value = int(constant["inner"][0]["value"]) if "inner" in constant else value + 1
            if not constant["name"].endswith("_32_BITS"):
                print(f"{constant['name']} = {value}")
    for name, fields in structs.items():
        print(f"\n\nclass {name}(Structure):\n    _fields_ = [")
        for field, kind in fields:
            print(f'        ("{field}", {ctype(kind, structs, enums)}),')
        print("    ]")
    print("\n\n# Result and arguments of each function.\nFUNCTIONS = {")
    for node in named:
        if node["kind"] != "FunctionDecl":
            continue
        result = node["type"]["qualType"].split("(")[0].strip()
        arguments = [ctype(part["type"]["qualType"], structs, enums) for part in node.get("inner", []) if part["kind"] == "ParmVarDecl"]
        print(f'    "{node["name"]}": ({"None" if result == "void" else ctype(result, structs, enums)}, [{", ".join(arguments)}]),')
    print("}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
