#include "io/usage.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <sstream>
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

// What may be given several times takes one value each time, not whatever follows.
void take_one_value_each(CLI::App* app) {
  for (CLI::Option* option : app->get_options()) {
    if (!option->get_positional() && option->get_expected_max() > 1) option->allow_extra_args(false);
  }
  for (CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) take_one_value_each(command);
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

// Help in two columns that fit the terminal, with the names of values that people use.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool positional) const override {
    std::string left = positional ? option->get_name(true) : option->get_name(false, true);
    if (!positional) left += value_of(*option);
    std::string text = option->get_description();
    const std::string type = option->get_type_name();
    if (const size_t set = type.find('{'); set != std::string::npos) text += ": " + type.substr(set);
    if (!option->get_default_str().empty()) text += " (default: " + option->get_default_str() + ")";
    if (option->get_required()) text += " (required)";
    return two_columns(left, text);
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return two_columns(command->get_name(), command->get_description());
  }
  std::string make_description(const CLI::App* app) const override {
    return wrapped(app->get_description(), 0) + "\n\n";
  }
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    // One empty line between groups.
    for (size_t i; (i = text.find("\n\n\n")) != std::string::npos;) text.erase(i, 1);
    return text;
  }
  std::string make_footer(const CLI::App* app) const override {
    return app->get_footer().empty() ? "" : "\nExamples:\n" + app->get_footer() + "\n";
  }

 private:
  static constexpr size_t kLeft = 26;

  // What stands behind an option for its value.
  static std::string value_of(const CLI::Option& option) {
    if (option.get_type_size() == 0) return "";
    const std::string type = option.get_type_name();
    std::string name = type.substr(0, type.find_first_of(":{ "));
    if (name == "UINT" || name == "INT") name = "N";
    if (name == "FLOAT") name = "X";
    if (name == "TEXT" && type.find('{') != std::string::npos) name = "KIND";
    std::string result;
    const int values = std::max(option.get_items_expected_max() > 1000 ? 1 : option.get_items_expected_max(), 1);
    for (int i = 0; i < values; ++i) result += " " + name;
    return result;
  }

  static std::string wrapped(const std::string& text, size_t indent) {
    const size_t width = std::clamp<size_t>(terminal_width(STDOUT_FILENO), 60, 100);
    std::string result;
    size_t column = indent;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      if (column > indent && column + 1 + word.size() >= width) {
        result += "\n" + std::string(indent, ' ');
        column = indent;
      }
      if (column > indent) result += ' ', ++column;
      result += word;
      column += word.size();
    }
    return result;
  }

  static std::string two_columns(const std::string& left, const std::string& text) {
    std::string line = "  " + left;
    if (line.size() + 2 > kLeft)
      line += "\n" + std::string(kLeft, ' ');
    else
      line.resize(kLeft, ' ');
    return line + wrapped(text, kLeft) + "\n";
  }
};

void format_help(CLI::App* app, const std::shared_ptr<HelpFormatter>& formatter) {
  app->formatter(formatter);
  if (app->get_help_ptr() != nullptr) app->get_help_ptr()->group("Help")->description("print this help");
  for (CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) format_help(command, formatter);
}

}  // namespace

int parse(CLI::App* app, int argc, char** argv) {
  require_finite_options(app);
  take_one_value_each(app);
  format_help(app, std::make_shared<HelpFormatter>());
  if (argc == 1) {
    print("%s", app->help().c_str());
    return 0;
  }
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
