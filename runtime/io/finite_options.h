// Command line options of numbers.
#pragma once

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdlib>
#include <string>

namespace figment::io {

// Lets no option of a real number, of the program or its commands, be NaN or infinite: ranges are no help, since every
// comparison with NaN is false.
inline void require_finite_options(CLI::App* app) {
  for (CLI::Option* option : app->get_options()) {
    if (option->get_type_name().find("FLOAT") == std::string::npos) continue;
    option->check(
        [](const std::string& text) -> std::string {
          return std::isfinite(std::strtod(text.c_str(), nullptr)) ? "" : "give a finite number, not " + text;
        },
        "");
  }
  for (CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) require_finite_options(command);
}

}  // namespace figment::io
