#include "controls.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "dataset.h"
#include "io/files.h"
#include "output.h"

namespace figment::cli {

namespace {

constexpr size_t kMaxValues = size_t{1} << 31;

// The distribution function of N(0, 1).
double normal_cdf(double x) { return 0.5 * std::erfc(-x * M_SQRT1_2); }

// Its inverse, by bisection to the last bit of a float.
double normal_quantile(double p) {
  double low = -40;
  double high = 40;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (normal_cdf(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

// The value of N(0, 1) cut at +-bound that lies where `x` lies in N(0, 1): the truncation of Brock et al. 2019, without
// drawing again.
float truncated(float x, float bound) {
  const double below = normal_cdf(-static_cast<double>(bound));
  const double part = normal_cdf(static_cast<double>(x));
  return static_cast<float>(normal_quantile(below + part * (1 - 2 * below)));
}

std::vector<fig_code_info> codes_of(const OpenModel& open) {
  std::vector<fig_code_info> codes;
  fig_code_info code{};
  while (fig_model_code(open.model(), static_cast<uint32_t>(codes.size()), &code) == FIG_OK) codes.push_back(code);
  return codes;
}

fig_code_info find_code(const std::vector<fig_code_info>& codes, const std::string& name) {
  std::string names;
  for (size_t i = 0; i < codes.size(); ++i) {
    if (name == codes[i].name || name == std::to_string(i)) return codes[i];
    names += fmt::format("{}{}={}", i > 0 ? ", " : "", i, codes[i].name);
  }
  throw Error("there is no code " + name + (names.empty() ? "; the model has none" : "; the codes are " + names));
}

std::vector<float> parse_numbers(const std::string& text) {
  std::vector<float> numbers;
  for (size_t start = 0; start <= text.size();) {
    const size_t comma = std::min(text.find(',', start), text.size());
    float number = 0;
    const auto [end, error] = std::from_chars(text.data() + start, text.data() + comma, number);
    if (error != std::errc() || end != text.data() + comma || !std::isfinite(number))
      throw Error("\"" + text + "\" is no list of numbers");
    numbers.push_back(number);
    start = comma + 1;
  }
  return numbers;
}

void set_category(float* values, size_t size, size_t category) {
  std::fill_n(values, size, 0.0F);
  values[category] = 1;
}

size_t checked_category(double number, size_t size, const std::string& what) {
  if (number < 0 || number >= static_cast<double>(size) || number != std::floor(number))
    throw Error(fmt::format("{} has the values 0 to {}", what, size - 1));
  return static_cast<size_t>(number);
}

// Writes a code of all latents.
void set_code(Steered* steered, const fig_code_info& code, const std::vector<float>& numbers) {
  const bool category = code.prior == FIG_PRIOR_CATEGORICAL;
  if (numbers.size() != (category ? 1 : code.size)) {
    throw Error(
        fmt::format("the code {} takes {} numbers, not {}", code.name, category ? 1 : code.size, numbers.size()));
  }
  for (size_t i = 0; i < steered->count; ++i) {
    float* values = steered->latents.data() + i * steered->latent_size + code.start;
    if (category)
      set_category(values, code.size, checked_category(numbers[0], code.size, "the code " + std::string(code.name)));
    else
      std::copy(numbers.begin(), numbers.end(), values);
  }
}

// Where a class goes: a code of the latent, or a condition.
struct ClassPlace {
  size_t size = 0;
  std::optional<fig_code_info> code;
  size_t condition = 0;

  bool is(const ClassPlace& other) const {
    if (!code || !other.code) return !code && !other.code && condition == other.condition;
    return code->start == other.code->start;
  }
  void set(Steered* steered, size_t sample, size_t category) const {
    if (code) {
      set_category(steered->latents.data() + sample * steered->latent_size + code->start, size, category);
    } else {
      steered->conditions[condition].set_class(sample, category);
    }
  }
};

// The class of this name; "": the only one, or the first code if no condition is a class.
ClassPlace class_place(const Steered& steered, const std::vector<fig_code_info>& codes, const std::string& name) {
  std::vector<ClassPlace> places;
  std::string names;
  const auto add = [&](const char* own_name, const ClassPlace& place) {
    if (!name.empty() && name != own_name) return;
    places.push_back(place);
    names += (names.empty() ? "" : ", ") + std::string(own_name);
  };
  for (size_t i = 0; i < steered.conditions.size(); ++i) {
    const Steered::Condition& condition = steered.conditions[i];
    if (condition.is_class()) add(condition.name.c_str(), {condition.classes(), {}, i});
  }
  const size_t conditions = places.size();
  for (const fig_code_info& code : codes) {
    if (code.prior == FIG_PRIOR_CATEGORICAL) add(code.name, {code.size, code, 0});
  }
  if (places.empty()) {
    throw Error(name.empty() ? "the model has no classes: neither a condition nor a categorical code"
                             : "the model has no classes of the name " + name);
  }
  if (conditions > 1) throw Error("the model has several classes, " + names + ": name one, as in --class NAME=3");
  return places[0];
}

// The rows of a sweep and how row `row` changes a sample.
class Sweep {
 public:
  Sweep(const OpenModel& open, const ControlArguments& arguments, const Steered& empty) {
    const std::vector<fig_code_info> codes = codes_of(open);
    const bool condition = std::ranges::any_of(
        empty.conditions, [&](const Steered::Condition& c) { return c.is_class() && c.name == arguments.sweep; });
    if (condition || arguments.sweep == "class") {
      place_ = class_place(empty, codes, condition ? arguments.sweep : "");
      rows_ = place_->size;
      return;
    }
    const size_t colon = arguments.sweep.find(':');
    const fig_code_info code = find_code(codes, arguments.sweep.substr(0, colon));
    if (code.prior == FIG_PRIOR_CATEGORICAL) {
      place_ = ClassPlace{code.size, code, 0};
      rows_ = code.size;
      return;
    }
    size_t component = 0;
    if (colon != std::string::npos) {
      component = checked_category(parse_numbers(arguments.sweep.substr(colon + 1)).at(0), code.size,
                                   "the number of a component of " + std::string(code.name));
    } else if (code.size > 1) {
      throw Error(fmt::format("the code {} has {} components: --sweep {}:0", code.name, code.size, code.name));
    }
    value_ = code.start + component;
    rows_ = arguments.sweep_steps;
    low_ = code.prior == FIG_PRIOR_NORMAL ? -2 : -1;
    high_ = -low_;
    if (arguments.sweep_range.size() == 2) {
      low_ = arguments.sweep_range[0];
      high_ = arguments.sweep_range[1];
    }
  }

  size_t rows() const { return rows_; }
  // If it is a class.
  const std::optional<ClassPlace>& place() const { return place_; }
  void set(Steered* steered, size_t sample, size_t row) const {
    if (place_) {
      place_->set(steered, sample, row);
    } else {
      const float part = rows_ > 1 ? static_cast<float>(row) / static_cast<float>(rows_ - 1) : 0;
      steered->latents[sample * steered->latent_size + value_] = low_ + part * (high_ - low_);
    }
  }

 private:
  std::optional<ClassPlace> place_;
  size_t value_ = 0;
  size_t rows_ = 0;
  float low_ = 0;
  float high_ = 0;
};

void read_conditions(const OpenModel& open, const ControlArguments& arguments, const fig_output_info& output,
                     Steered* steered) {
  for (const std::string& text : arguments.conditions) {
    const auto [name, path] = io::split_assignment(text);
    const auto place =
        std::find_if(steered->conditions.begin(), steered->conditions.end(), [&](const Steered::Condition& condition) {
          return name.empty() ? condition.values.empty() : condition.name == name;
        });
    if (place == steered->conditions.end())
      throw Error("--condition " + text + ": the generator has no such condition");
    const io::Samples samples(path, {place->name, place->shape, output.range_min, output.range_max});
    if (samples.count() < steered->count) {
      throw Error(fmt::format("{}: has {} rows for {} samples", path, samples.count(), steered->count));
    }
    place->values.resize(steered->count * place->elements);
    // As the model was trained on them.
    const Scaling scaling = samples.measured() ? Scaling::of(open, place->name.c_str()) : Scaling();
    for (size_t i = 0; i < steered->count; ++i) {
      const std::span values = std::span(place->values).subspan(i * place->elements, place->elements);
      samples.copy(i, values.data());
      scaling.to_values(values);
    }
  }
}

// From latent a to b. Normal values go along the arc between them (White 2016, "Sampling Generative Networks"), since
// nothing is trained near the origin; others along the line; categories change half way.
std::vector<float> between(const std::vector<float>& a, const std::vector<float>& b, double part,
                           const fig_latent_info& latent, const std::vector<fig_code_info>& codes) {
  const size_t noise = codes.empty() ? a.size() : codes[0].start;
  double dot = 0;
  double norm_a = 0;
  double norm_b = 0;
  for (size_t i = 0; i < noise; ++i) {
    dot += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    norm_a += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    norm_b += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  const double cosine = norm_a > 0 && norm_b > 0 ? dot / std::sqrt(norm_a * norm_b) : 1;
  const double angle = std::acos(std::clamp(cosine, -1.0, 1.0));
  const bool arc = latent.prior == FIG_PRIOR_NORMAL && std::sin(angle) > 1e-6;
  const double weight_a = arc ? std::sin((1 - part) * angle) / std::sin(angle) : 1 - part;
  const double weight_b = arc ? std::sin(part * angle) / std::sin(angle) : part;
  std::vector<float> result(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const bool is_code = i >= noise;
    result[i] = static_cast<float>((is_code ? 1 - part : weight_a) * static_cast<double>(a[i]) +
                                   (is_code ? part : weight_b) * static_cast<double>(b[i]));
  }
  for (const fig_code_info& code : codes) {
    if (code.prior != FIG_PRIOR_CATEGORICAL) continue;
    const std::vector<float>& from = part < 0.5 ? a : b;
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(code.start), code.size,
                result.begin() + static_cast<std::ptrdiff_t>(code.start));
  }
  return result;
}

}  // namespace

void ControlArguments::add_to(CLI::App* command) {
  command->option_defaults()->group("What is generated");
  command->add_option("--class", classes,
                      "[INPUT=]NUMBER: this class only (of a condition or a categorical code); may be repeated");
  command->add_option("--code", codes,
                      "CODE=VALUE[,VALUE...]: fix a code of the latent, named or numbered; may be repeated");
  command->add_option("--sweep", sweep, "a row of samples for each value of \"class\", INPUT, CODE or CODE:COMPONENT");
  command
      ->add_option("--sweep-range", sweep_range,
                   "first and last value of a continuous code (default: its prior's range)")
      ->expected(2);
  command->add_option("--sweep-steps", sweep_steps, "values of a continuous code")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  command->add_option("--interpolate", interpolate, "A B: interpolate from latent A to latent B")->expected(2);
  command->add_option("--condition", conditions,
                      "[INPUT=]FILE: a condition for each sample (IDX, .npy, .csv); may be repeated");
  command
      ->add_option("--truncation", truncation,
                   "truncate the normal prior at plus and minus this: better samples, less variety")
      ->check(CLI::Range(1e-30, 1e6));
}

void Steered::Condition::set_class(size_t sample, size_t category) {
  if (labels > 0) {
    values[sample] = static_cast<float>(category);
  } else {
    set_category(values.data() + sample * elements, elements, category);
  }
}

std::vector<fig_tensor> Steered::condition_tensors(size_t first, size_t part) {
  std::vector<fig_tensor> tensors;
  for (Condition& condition : conditions) {
    tensors.push_back({condition.name.c_str(), condition.values.data() + first * condition.elements,
                       part * condition.elements, FIG_F32});
  }
  return tensors;
}

Steered steer(const OpenModel& open, const ControlArguments& arguments, uint64_t seed, uint64_t first, size_t count,
              Draw draw, Steered::Missing missing, const std::vector<Steered::Condition>& given) {
  fig_latent_info latent{};
  fig_output_info output{};
  latent = open.latent();
  check(fig_model_generated(open.model(), &output));
  if (!arguments.sweep.empty() && !arguments.interpolate.empty())
    throw Error("--sweep and --interpolate do not go together");
  if (arguments.truncation > 0 && latent.prior != FIG_PRIOR_NORMAL)
    throw Error("--truncation is for models whose latent is normal");
  if (!arguments.interpolate.empty() && first != 0) throw Error("--first and --interpolate do not go together");
  if (arguments.sweep.empty() && !arguments.sweep_range.empty()) throw Error("--sweep-range needs --sweep");
  const std::vector<fig_code_info> codes = codes_of(open);
  Steered steered;
  steered.latent_size = latent.size;
  for (const fig_port_info& port : conditions_of(open)) {
    const size_t labels = port.integers && port.least == 0 ? static_cast<size_t>(port.greatest) + 1 : 0;
    steered.conditions.push_back({port.name, form_of(port, {}).shape, sample_elements(port.shape), labels, {}});
  }
  std::optional<Sweep> sweep;
  if (!arguments.sweep.empty()) sweep.emplace(open, arguments, steered);
  steered.count = count * (sweep ? sweep->rows() : 1);
  if (steered.count > kMaxValues / std::max<size_t>(latent.size, 1))
    throw Error("that many samples do not fit in memory; make fewer at a time, with --first");
  // A row for each value, or from one latent to the other.
  if (sweep || !arguments.interpolate.empty()) steered.columns = static_cast<uint32_t>(count);
  const auto latent_at = [&](uint64_t index) {
    std::vector<float> values(latent.size);
    check(fig_model_draw_latent(open.model(), seed, index, values.data(), values.size()));
    const size_t noise = codes.empty() ? values.size() : codes[0].start;
    for (size_t i = 0; arguments.truncation > 0 && latent.prior == FIG_PRIOR_NORMAL && i < noise; ++i)
      values[i] = truncated(values[i], arguments.truncation);
    return values;
  };
  const bool interpolates = arguments.interpolate.size() == 2;
  const std::vector<float> from = interpolates ? latent_at(arguments.interpolate[0]) : std::vector<float>();
  const std::vector<float> to = interpolates ? latent_at(arguments.interpolate[1]) : std::vector<float>();
  const size_t drawn = draw == Draw::kAlways || arguments.change_latents() ? steered.count : 0;
  steered.latents.reserve(drawn * latent.size);
  for (size_t i = 0; i < drawn; ++i) {
    std::vector<float> values;
    if (interpolates) {
      const double part = count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
      values = between(from, to, part, latent, codes);
    } else {
      values = latent_at(first + (sweep ? i % count : i));
    }
    steered.latents.insert(steered.latents.end(), values.begin(), values.end());
  }
  for (const std::string& text : arguments.codes) {
    const auto [name, values] = io::split_assignment(text);
    if (name.empty()) throw Error("--code " + text + ": give CODE=VALUE");
    set_code(&steered, find_code(codes, name), parse_numbers(values));
  }
  read_conditions(open, arguments, output, &steered);
  const auto make_room = [&](const ClassPlace& place) {
    if (place.code) return;
    Steered::Condition& condition = steered.conditions[place.condition];
    condition.values.resize(steered.count * condition.elements);
  };
  for (const std::string& text : arguments.classes) {
    const auto [name, number] = io::split_assignment(text);
    const ClassPlace place = class_place(steered, codes, name);
    const std::vector<float> category = parse_numbers(number);
    if (category.size() != 1) throw Error("--class " + text + ": give one number");
    if (sweep && sweep->place() && sweep->place()->is(place))
      throw Error("--class and --sweep of the same class do not go together");
    make_room(place);
    for (size_t i = 0; i < steered.count; ++i)
      place.set(&steered, i, checked_category(static_cast<double>(category[0]), place.size, "--class"));
  }
  if (sweep && sweep->place()) make_room(*sweep->place());
  for (size_t i = 0; sweep && i < steered.count; ++i) sweep->set(&steered, i, i / count);
  for (Steered::Condition& condition : steered.conditions) {
    if (!condition.values.empty()) continue;
    const auto found = std::find_if(given.begin(), given.end(),
                                    [&](const Steered::Condition& other) { return other.name == condition.name; });
    if (found != given.end()) {
      condition.values = found->values;
    } else if (missing == Steered::Missing::kClassesInTurn && condition.is_class()) {
      condition.values.resize(steered.count * condition.elements);
      for (size_t i = 0; i < steered.count; ++i) condition.set_class(i, i % condition.classes());
    } else {
      const char* option = missing == Steered::Missing::kClassesInTurn ? "--data " : "--condition ";
      throw Error("the generator's condition " + condition.name + " is missing: " + option + condition.name + "=FILE" +
                  (condition.is_class() ? fmt::format(", --class {0}=N or --sweep {0}", condition.name) : ""));
    }
  }
  return steered;
}

}  // namespace figment::cli
