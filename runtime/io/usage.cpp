#include "io/usage.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "io/terminal.h"

namespace figment::io {

namespace {

// Lets no option of a real number, of the program or its commands, be NaN or infinite: ranges are no help, since every
// comparison with NaN is false.
void require_finite_options(CLI::App* app) {
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

// How many letters must be put in, left out or replaced (Levenshtein 1966).
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// ": did you mean X?", or "" where nothing is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  size_t least = word.size() / 3 + 2;
  for (const std::string& name : known) {
    const size_t far = distance(word, name);
    if (far < least) least = far, best = name;
  }
  return best.empty() ? "" : ": did you mean " + best + "?";
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The one word or option that is unknown, or "".
std::string unknown_word(const CLI::App& app, const CLI::App& command, int argc, char** argv) {
  const std::vector<std::string> commands = commands_of(app);
  const bool chosen = &command != &app;
  if (!commands.empty() && !chosen && argc > 1 && argv[1][0] != '-')
    return std::string("there is no command ") + argv[1] + nearest(argv[1], commands);
  const std::vector<std::string> known = options_of(command);
  const std::vector<std::string> of_all = options_of(app);
  for (int i = 1; i < argc; ++i) {
    const std::string word(argv[i], std::find(argv[i], argv[i] + std::string(argv[i]).size(), '='));
    if (word.starts_with("--") && word.size() > 2 && std::ranges::find(known, word) == known.end() &&
        std::ranges::find(of_all, word) == of_all.end())
      return "there is no option " + word + nearest(word, known);
  }
  return "";
}

}  // namespace

int parse(CLI::App* app, int argc, char** argv) {
  require_finite_options(app);
  try {
    app->parse(argc, argv);
    return -1;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app->exit(error);  // --help, --version
    const std::vector<CLI::App*> parsed = app->get_subcommands();
    const CLI::App& command = parsed.empty() ? *app : *parsed[0];
    std::string text;
    const auto is = [&](CLI::ExitCodes code) { return error.get_exit_code() == static_cast<int>(code); };
    if (is(CLI::ExitCodes::ExtrasError) || is(CLI::ExitCodes::RequiredError))
      text = unknown_word(*app, command, argc, argv);
    if (text.empty()) text = error.what();
    const std::string name = app->get_name();
    print_error(name + ": " + text + "\nRun " + name + (parsed.empty() ? "" : " " + command.get_name()) +
                " --help for what there is.");
    return error.get_exit_code();
  }
}

}  // namespace figment::io
