#!/usr/bin/python3
"""Writes shell completions for bash, zsh and fish, of what the programs say with --help.

usage: completions.py OUTPUT-FOLDER PROGRAM...; a PROGRAM is a path.
"""

import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"^  (-[-\w,]+)(?: (.*))?$")
KINDS = re.compile(r"\{([\w,.\- ]+)\}")


def parse(program, *command):
    """Options of a help text, each as (names, takes a value, choices, what for), and the subcommands."""
    text = subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout
    options, commands, section = [], [], ""
    entry = None  # whose text the next line continues
    for line in text.splitlines():
        if re.match(r"^\S.*:$", line):
            section, entry = line, None
        elif section == "Subcommands:" and re.match(r"^  \S", line):
            entry = [*line.split(None, 1), "", ""]
            entry[3] = entry[1]
            commands.append(entry)
        elif OPTION.match(line):
            names, rest = OPTION.match(line).groups()
            value, _, purpose = (rest or "").partition("  ")
            takes = bool(re.match(r"^(TEXT|N|X|KIND|FILE)\b", value))
            entry = [names.split(","), takes, "", (purpose if takes else rest or "").strip()]
            options.append(entry)
        elif entry and line.startswith("   "):
            entry[3] = f"{entry[3]} {line.strip()}".strip()
    commands = [(command[0], command[3].strip()) for command in commands]
    for option in options:
        found = KINDS.search(option[3].replace(", ", ","))
        if found and option[1] and "," in found[1]:
            option[2] = found[1].replace(",", " ")
    return options, commands


def short(purpose):
    """The first part of what an option is for, without what shells would read."""
    return re.sub(r"['\"\[\]:\\`$]", "", re.split(r"[;(:]", purpose)[0]).strip()


def bash(name, tree):
    def words(options):
        return " ".join(name for option in options for name in option[0])

    function = "_" + name.replace("-", "_")
    lines = [f"# Completion of {name} for bash.", f"{function}() {{", '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=""',
             "  local word", '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do', f"    case $word in {'|'.join(tree['commands']) or '-'}) command=$word; break ;; esac",
             "  done", "  COMPREPLY=()"]
    lines.append("  case $command,$prev in")
    for command, (options, _) in tree["options"].items():
        files = [f"{command},{part}" for option in options if option[1] and not option[2] for part in option[0]]
        if files:
            lines.append(f"    {'|'.join(files)}) compopt -o default; return ;;")
        for option in options:
            if option[2]:
                known = "|".join(f"{command},{part}" for part in option[0])
                lines.append(f"    {known}) COMPREPLY=($(compgen -W '{option[2]}' -- \"$cur\")); return ;;")
    lines += ["  esac", '  case $command in']
    for command, (options, commands) in tree["options"].items():
        known = " ".join([words(options), *(part for part, _ in commands)])
        complete = f"COMPREPLY=($(compgen -W '{known}' -- \"$cur\"))"
        # What is no option is a command, or a file.
        lines.append(f"    {command or chr(34) * 2}) {complete} ;;" if commands else
                     f"    {command or chr(34) * 2}) if [[ $cur == -* ]]; then {complete}; else compopt -o default; fi ;;")
    lines += ["  esac", "}", f"complete -F {function} {name}", ""]
    return "\n".join(lines)


def zsh(name, tree):
    def arguments(options):
        rows = []
        for names, takes, choices, purpose in options:
            value = f":value:({choices})" if choices else ":value:_files" if takes else ""
            for part in names:
                rows.append(f"    '{part}[{short(purpose)}]{value}'")
        return " \\\n".join([*rows, "    '*:file:_files'"])

    lines = [f"#compdef {name}", f"# Completion of {name} for zsh.", "local command=${words[2]}"]
    if tree["commands"]:
        lines.append("if (( CURRENT == 2 )); then")
        lines.append("  local -a commands=(" + " ".join(f"'{part}:{short(purpose)}'" for part, purpose in tree["options"][""][1]) + ")")
        lines += ["  _describe command commands", "fi", "case $command in"]
        for command, (options, _) in tree["options"].items():
            if command:
                lines.append(f"  {command}) _arguments \\\n{arguments(options)} ;;")
        lines.append("esac")
    else:
        lines.append(f"_arguments \\\n{arguments(tree['options'][''][0])}")
    return "\n".join(lines) + "\n"


def fish(name, tree):
    lines = [f"# Completion of {name} for fish."]
    for command, (options, commands) in tree["options"].items():
        for part, purpose in commands:
            lines.append(f"complete -c {name} -f -n __fish_use_subcommand -a {part} -d '{short(purpose)}'")
        condition = f" -n '__fish_seen_subcommand_from {command}'" if command else " -n __fish_use_subcommand" if tree["commands"] else ""
        for names, takes, choices, purpose in options:
            flags = "".join(f" -l {part[2:]}" if part.startswith("--") else f" -s {part[1:]}" for part in names)
            value = f" -x -a '{choices}'" if choices else " -r" if takes else ""
            lines.append(f"complete -c {name}{condition}{flags}{value} -d '{short(purpose)}'")
    return "\n".join(lines) + "\n"


def main(output, *programs):
    output = pathlib.Path(output)
    for program in programs:
        name = pathlib.Path(program).name
        options, commands = parse(program)
        tree = {"commands": [command for command, _ in commands], "options": {"": (options, commands)}}
        for command, _ in commands:
            tree["options"][command] = parse(program, command)
        for folder, file, text in (("bash-completion/completions", name, bash(name, tree)), ("zsh/vendor-completions", f"_{name}", zsh(name, tree)),
                                   ("fish/vendor_completions.d", f"{name}.fish", fish(name, tree))):
            (output / folder).mkdir(parents=True, exist_ok=True)
            (output / folder / file).write_text(text)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
