// What a command line that cannot be understood is answered with.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace figment::io {

// Parses the command line, in which no real number may be NaN or infinite. Returns the status to exit with, after help
// (also for an empty command line, and with each command's footer as examples), a version or a message that names the
// nearest command or option; -1: the program goes on.
int parse(CLI::App* app, int argc, char** argv);

}  // namespace figment::io
