// What a device without texts says of an error: "figment explain 1a2b3c4d 7 12 at 3" (core/status.h).
#include <charconv>
#include <string>
#include <vector>

#include "commands.h"
#include "core/status.h"
#include "figment/figment.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

constexpr const char* kTexts[] = {
#include "error_texts.inc"
};

// The last bits of an error's number are those of its fig_status.
constexpr uint32_t kStatusBits = 15;

struct Arguments {
  std::string error;
  std::vector<std::string> numbers;
};

uint32_t number_of(const std::string& text, int base) {
  uint32_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || rest != text.data() + text.size())
    throw Error(text + " is no number: give what fig_error_message() said, as 1a2b3c4d 7 12 at 3");
  return number;
}

// The text with the numbers in place of its conversions, as far as they go.
std::string filled(const std::string& text, const std::vector<uint32_t>& numbers) {
  std::string result;
  size_t used = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '%') {
      result += text[++i];
      continue;
    }
    const size_t end = text.find_first_of("diuxXsgfc", i + 1);
    const bool number = end != std::string::npos && std::string("diuxX").find(text[end]) != std::string::npos;
    result += number && used < numbers.size() ? std::to_string(numbers[used]) : "...";
    if (number) ++used;
    i = end == std::string::npos ? text.size() : end;
  }
  return result;
}

void explain(const Arguments& arguments) {
  const uint32_t error = number_of(arguments.error, 16);
  std::vector<uint32_t> numbers;
  std::string place;
  for (size_t i = 0; i < arguments.numbers.size(); ++i) {
    const bool at = arguments.numbers[i] == "at";
    if (at && i + 1 == arguments.numbers.size()) throw Error("at what? give all that fig_error_message() said");
    if (at) {
      place = std::to_string(number_of(arguments.numbers[++i], 10));
    } else {
      numbers.push_back(number_of(arguments.numbers[i], 10));
    }
  }
  const char* found = nullptr;
  for (const char* text : kTexts) {
    if (((hash_of_text(text) ^ error) & ~kStatusBits) == 0) found = text;
  }
  if (found == nullptr) {
    throw Error("figment " + std::string(fig_version()) + " has no error of the number " + arguments.error +
                ": take the figment of the version that the device's library has");
  }
  io::print("%s: %s%s\n", fig_status_name(static_cast<fig_status>(error & kStatusBits)), filled(found, numbers).c_str(),
            place.empty() ? "" : (" (at op, tensor or constant " + place + ")").c_str());
}

}  // namespace

void add_explain(CLI::App* app, Commands* commands) {
  CLI::App* command = app->add_subcommand("explain", "Say what an error of a device without texts means");
  auto arguments = std::make_shared<Arguments>();
  command->footer("  figment explain 1a2b3c4d 7 12 at 3");
  command->add_option("error", arguments->error, "its number")->required();
  command->add_option("numbers", arguments->numbers, "and those behind it");
  (*commands)[command] = [arguments] { explain(*arguments); };
}

}  // namespace figment::cli
