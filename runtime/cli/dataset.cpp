#include "dataset.h"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include "io/files.h"
#include "io/pictures.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

constexpr size_t kMaxClasses = 1000;

// "0-7,9", or of classes that have names "cat,dog", as a flag for each class.
std::vector<bool> parse_classes(const std::string& text, const std::vector<std::string>& names) {
  const size_t classes = std::max(kMaxClasses, names.size());
  std::vector<bool> wanted(classes);
  for (size_t start = 0; start <= text.size();) {
    const char* end = text.data() + std::min(text.find(',', start), text.size());
    const auto named = std::find(names.begin(), names.end(), std::string(text.data() + start, end));
    if (named != names.end()) {
      wanted[static_cast<size_t>(named - names.begin())] = true;
      start = static_cast<size_t>(end - text.data()) + 1;
      continue;
    }
    size_t first = 0;
    auto parsed = std::from_chars(text.data() + start, end, first);
    size_t last = first;
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-')
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    if (parsed.ec != std::errc() || parsed.ptr != end || last < first || last >= classes)
      throw Error("--classes " + text + ": write numbers and ranges, 0-7,9" +
                  (names.empty() ? "" : ", or names: " + io::list_of(names)));
    std::fill(wanted.begin() + static_cast<std::ptrdiff_t>(first),
              wanted.begin() + static_cast<std::ptrdiff_t>(last) + 1, true);
    start = static_cast<size_t>(end - text.data()) + 1;
  }
  return wanted;
}

// Whether sample `i` is held out: by its number alone, so that every command holds out the same (SplitMix64, Steele et
// al. 2014).
bool is_held_out(uint64_t i, double share) {
  uint64_t x = (i + 1) * 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) < share * 0x1p53;
}

}  // namespace

void DataArguments::add_to(CLI::App* command) {
  command->option_defaults()->group("Data");
  command
      ->add_option("--data", data,
                   std::string(io::kDataHelp) + "; with conditions INPUT=FILE for each, labels as class numbers")
      ->required();
  command->add_flag("--normalize", normalize, io::kNormalizeHelp);
  command->add_option("--labels", labels, "file of the samples' classes, where no condition gives them");
  command->add_option("--classes", classes,
                      "only samples of these classes: 0-7,9, or the names of subfolders: cat,dog");
  command->add_option("--limit", limit, "use only the first N samples (of the --classes)")->check(at_least_one("all"));
  command
      ->add_option("--hold-out", hold_out,
                   "fraction of the samples held out from training for scores (of a long series, the last windows)")
      ->check(CLI::Range(0.0, 0.9));
  pictures.add_to(command);
  table.add_to(command);
  command->add_option("--preview", preview, "picture to write: the first sixteen samples as the network sees them");
}

void DataArguments::check_kept(const std::string& path, const std::string& model) const {
  if (path.empty()) return;
  std::vector<std::string> read = {model, labels};
  for (const std::string& text : data) read.push_back(io::split_assignment(text).second);
  for (const std::string& file : read) {
    std::error_code none;
    const bool folder = std::filesystem::is_directory(file, none);
    if (!folder && io::same_file(file, path))
      throw Error(path + " is read, and would be overwritten: name another file");
    // A picture, or a folder that will hold some.
    const bool holds_pictures = io::is_picture(path) || std::filesystem::path(path).extension().empty();
    if (!holds_pictures || !folder) continue;
    const auto inside =
        std::filesystem::weakly_canonical(path, none).lexically_relative(std::filesystem::weakly_canonical(file, none));
    if (!inside.empty() && *inside.begin() != "..")
      throw Error(path + " would lie among the data in " + file + ": name another place");
  }
}

void TableArguments::add_to(CLI::App* command) {
  command->add_option(
      "--columns", options.columns,
      "columns of a .csv file, by the header's names or by numbers: temperature,humidity,3-5 (default: all)");
  command->add_option("--time-column", options.time_column, "the column of times, by name or number: no value");
  command->add_option("--skip-rows", options.skip_rows, "lines of a .csv file before its table");
  command->add_option("--fill", options.fill,
                      "fill missing values by previous, linear, mean or a number (default: they are an error)");
}

void PictureArguments::add_to(CLI::App* command) {
  command->add_option("--background", background, "color behind transparent pixels: white, black, gray or #rrggbb")
      ->capture_default_str();
  command
      ->add_option("--fit", fit,
                   "pictures of other proportions than the model's: their middle, with a frame, or distorted")
      ->check(CLI::IsMember({"crop", "pad", "squeeze"}))
      ->capture_default_str();
}

io::PictureOptions PictureArguments::options() const {
  return {io::parse_color(background), fit == "pad"       ? io::Fit::kPad
                                       : fit == "squeeze" ? io::Fit::kSqueeze
                                                          : io::Fit::kCrop};
}

io::SampleForm form_of(const fig_port_info& port, const fig_output_info& output) {
  io::SampleForm form{port.name, {}, output.range_min, output.range_max};
  form.advice = "give --normalize to scale the data to that range, or scale it yourself";
  for (uint32_t i = 0; i < port.shape.rank; ++i) {
    // The batch is a dimension of its own, or a factor of one.
    if (!port.shape.per_batch[i] || port.shape.extents[i] != 1) form.shape.push_back(port.shape.extents[i]);
  }
  if (form.shape.empty()) form.shape.push_back(1);
  form.integers = port.integers;
  return form;
}

namespace {

// Says what of the data's scale may not be meant: values of [0, 1] where the model's range begins below 0, so that they
// look gray to it, and values far from 1 where it has no range.
void note_scale(const std::string& path, const io::Samples& samples, const io::SampleForm& form) {
  constexpr size_t kMax = 256;
  constexpr float kLarge = 20;
  constexpr float kSmall = 0.02F;
  std::vector<float> sample(form.elements());
  float low = std::numeric_limits<float>::infinity();
  float high = -low;
  for (size_t i = 0; i < std::min(kMax, samples.count()); ++i) {
    samples.copy(i, sample.data());
    const auto [least, most] = std::minmax_element(sample.begin(), sample.end());
    low = std::min(low, *least);
    high = std::max(high, *most);
  }
  if (form.bounded && form.low < 0 && low >= 0 && high <= 1) {
    io::print_error(fmt::format(
        "figment: {}: no value is below 0, the model's samples lie in [{:g}, {:g}]: if 0 is black there, give "
        "--normalize",
        path, form.low, form.high));
  }
  const float size = std::max(std::fabs(low), std::fabs(high));
  if (!form.bounded && (size > kLarge || size < kSmall)) {
    io::print_error(
        fmt::format("figment: {}: has values from {:g} to {:g}, and networks learn best from values around [-1, 1]: "
                    "give --normalize",
                    path, low, high));
  }
}

// Of samples as they were measured: the one that turns the least value of each channel into black and the greatest into
// white; images are one channel. `copy` gives sample i.
Scaling scaling_of(const fig_port_info& port, const fig_output_info& output, size_t count,
                   const std::function<void(size_t i, float* out)>& copy) {
  const bool image = port.shape.rank > 3;
  const size_t channels = image ? 1 : port.shape.extents[port.shape.rank - 1];
  std::vector<float> sample(sample_elements(port.shape));
  std::vector<float> least(channels, std::numeric_limits<float>::infinity());
  std::vector<float> greatest(channels, -std::numeric_limits<float>::infinity());
  for (size_t i = 0; i < count; ++i) {
    copy(i, sample.data());
    for (size_t j = 0; j < sample.size(); ++j) {
      least[j % channels] = std::min(least[j % channels], sample[j]);
      greatest[j % channels] = std::max(greatest[j % channels], sample[j]);
    }
  }
  return Scaling::between(least, greatest, output.range_min, output.range_max);
}

}  // namespace

Dataset::Dataset(const OpenModel& open, const DataArguments& arguments, const std::vector<fig_port_info>& ports,
                 const fig_output_info& output)
    : output_(output), normalize_(arguments.normalize), hold_out_(arguments.hold_out) {
  for (const fig_port_info& port : ports) {
    inputs_.push_back({port.name, port, sample_elements(port.shape), "", {}, Scaling::of(open, port.name)});
    const fig_shape& shape = port.shape;
    const size_t channels = inputs_.back().scaling.channels();
    if (channels != 0 && channels != shape.extents[shape.rank - 1])
      throw Error(fmt::format("the model's scaling of {} has {} channels, its values {}: the file is damaged",
                              port.name, channels, shape.extents[shape.rank - 1]));
  }
  for (const bool named : {true, false}) {
    for (const std::string& text : arguments.data) {
      auto [name, path] = io::split_assignment(text);
      if (name.empty() == named) continue;
      const auto place = std::find_if(inputs_.begin(), inputs_.end(), [&, &wanted = name](const Input& input) {
        return named ? input.name == wanted : input.path.empty();
      });
      if (place == inputs_.end() || !place->path.empty()) {
        std::string names;
        for (const Input& input : inputs_) names += (names.empty() ? "" : ", ") + input.name;
        throw Error("--data " + text + ": there is no input for it; data goes to " + names + ", one file each");
      }
      place->path = path;
    }
  }
  if (inputs_[0].path.empty())
    throw Error("the input " + inputs_[0].name + " needs data: --data " + inputs_[0].name + "=FILE");
  for (Input& input : inputs_) {
    if (input.path.empty()) continue;
    io::SampleForm form = form_of(input.port, output);
    form.generated = &input == inputs_.data();
    // What is scaled is so that it fits; new data may lie beyond what the scaling was found by.
    const bool scaled = arguments.normalize || (input.scaling.known() && !input.scaling.identity());
    form.bounded = form.generated && output.bounded && !scaled;
    if (form.generated) {
      form.table = arguments.table.options;
      form.table.expected = input.scaling.columns();
      form.table.name_bytes = Scaling::kNameBytes;
      form.table.unit_bytes = Scaling::kUnitBytes;
    }
    form.pictures = arguments.pictures.options();
    input.samples.emplace(input.path, form);
    if (form.generated && !scaled) note_scale(input.path, *input.samples, form);
    if (input.samples->count() != inputs_[0].samples->count()) {
      throw Error(fmt::format("{} holds {} samples, {} {}", input.path, input.samples->count(), path(),
                              inputs_[0].samples->count()));
    }
  }
  if (const std::string text = inputs_[0].samples->description(); !text.empty()) io::print_error(text);
  const io::Table* table = inputs_[0].samples->table();
  if (table != nullptr && !table->warning.empty()) io::print_error("figment: " + table->warning);
  take_folder_labels();
  read_labels(arguments);
  choose_classes(arguments);
  chosen_ = wanted_;
}

void Dataset::find_scaling() {
  // By what is trained on, whichever command asks.
  const std::vector<size_t> chosen = chosen_;
  choose(Part::kTraining);
  for (Input& input : inputs_) {
    if (!input.samples) continue;
    // Pixels and class numbers have their scale; what the model keeps is what it was trained by.
    const bool measured = input.samples->measured() && !input.port.integers;
    if (!measured) input.scaling = {};
    // That of values that were taken as they are is none.
    if (normalize_ && measured && (!input.scaling.known() || input.scaling.identity())) {
      input.scaling =
          scaling_of(input.port, output_, count(), [&](size_t i, float* out) { input.samples->copy(chosen_[i], out); });
    }
    name_channels(&input);
  }
  chosen_ = chosen;
}

void Dataset::name_channels(Input* input) const {
  const io::Table* table = input->samples->table();
  const fig_shape& shape = input->port.shape;
  if (table == nullptr || shape.rank > 3 || table->names.size() != shape.extents[shape.rank - 1]) return;
  Scaling& scaling = input->scaling;
  if (!scaling.known()) {
    // As it is, but with names.
    const std::vector<float> low(table->names.size(), output_.range_min);
    const std::vector<float> high(table->names.size(), output_.range_max);
    scaling = Scaling::between(low, high, output_.range_min, output_.range_max);
  }
  const std::vector<io::ColumnName> wanted = scaling.columns();
  for (size_t c = 0; c < wanted.size() && !table->matched; ++c) {
    if (!table->names[c].empty() && table->names[c] != wanted[c].name) {
      io::print_error(fmt::format("figment: {}: the column {} is taken for the model's {}; --columns chooses others",
                                  input->path, table->names[c], wanted[c].name));
    }
  }
  scaling.set_names(table->names, table->units);
  if (!scaling.named() && scaling.identity()) scaling = {};
}

void Dataset::share_scaling(const OpenModel& open) {
  for (Input& input : inputs_) {
    if (!input.samples || !input.samples->measured()) continue;
    const Scaling kept = Scaling::of(open, input.name.c_str());
    if (kept.known() && !(kept.identity() && input.scaling.known())) {
      input.scaling = kept;
    } else if (input.scaling.channels() != 0 && !input.scaling.keep(open, input.name.c_str()) &&
               !input.scaling.identity() && input.port.shape.rank < 4) {
      io::print_error("figment: the model keeps no ranges of " + input.name +
                      ": --normalize must be given again, and conditions to generate under be scaled as it does");
    }
  }
}

void Dataset::take_folder_labels() {
  const std::vector<std::string> names = inputs_[0].samples->classes();
  Input* place = nullptr;
  for (Input& input : inputs_) {
    if (input.samples) continue;
    if (place != nullptr || names.empty()) return;
    place = &input;
  }
  if (place == nullptr) return;
  const bool integers = place->port.integers && place->elements == 1;
  const size_t classes = integers ? static_cast<size_t>(std::max(place->port.greatest, 0)) + 1 : place->elements;
  if (names.size() != classes && (!integers || names.size() > classes)) {
    throw Error(
        fmt::format("{} has {} subfolders, {} takes {} classes: convert the model for {} (in a recipe: "
                    "\"condition\": {{\"shape\": [{}]}}), or give --data {}=FILE",
                    path(), names.size(), place->name, classes, names.size(), names.size(), place->name));
  }
  io::Array labels{{inputs_[0].samples->count()}, {}};
  for (size_t i = 0; i < labels.shape[0]; ++i)
    labels.values.push_back(static_cast<float>(inputs_[0].samples->label(i)));
  place->path = path();
  place->samples.emplace(std::move(labels), path(), form_of(place->port, {}));
}

void Dataset::read_labels(const DataArguments& arguments) {
  const size_t count = inputs_[0].samples->count();
  if (!arguments.labels.empty()) {
    label_path_ = arguments.labels;
    const io::Samples file(arguments.labels, {"labels", {1}, 0, 255});
    if (file.count() != count) {
      throw Error(fmt::format("{} holds {} labels for {} samples", arguments.labels, file.count(), count));
    }
    for (size_t i = 0; i < count; ++i) {
      float label = 0;
      file.copy(i, &label);
      if (!(label >= 0 && label < kMaxClasses && label == std::floor(label)))
        throw Error(fmt::format("{}: labels must be whole numbers from 0 to {}", arguments.labels, kMaxClasses - 1));
      labels_.push_back(static_cast<size_t>(label));
    }
    return;
  }
  for (const Input& input : inputs_) {
    if (!input.samples || !input.samples->one_hot()) continue;
    if (input.path != path()) label_path_ = input.path;
    std::vector<float> values(input.elements);
    for (size_t i = 0; i < count; ++i) {
      input.samples->copy(i, values.data());
      labels_.push_back(static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin()));
    }
    return;
  }
  if (inputs_[0].samples->classes().empty()) return;
  for (size_t i = 0; i < count; ++i) labels_.push_back(inputs_[0].samples->label(i));
}

void Dataset::choose_classes(const DataArguments& arguments) {
  wanted_.resize(inputs_[0].samples->count());
  std::iota(wanted_.begin(), wanted_.end(), size_t{0});
  if (!arguments.classes.empty()) {
    if (labels_.empty())
      throw Error("--classes needs the classes of the samples: --labels FILE, or a folder of subfolders");
    const std::vector<bool> classes = parse_classes(arguments.classes, inputs_[0].samples->classes());
    std::erase_if(wanted_, [&](size_t i) { return !classes[labels_[i]]; });
    if (wanted_.empty()) throw Error("--classes " + arguments.classes + ": there are no samples of them");
  }
  if (arguments.limit != 0 && arguments.limit < wanted_.size()) wanted_.resize(static_cast<size_t>(arguments.limit));
}

void Dataset::choose(Part part) {
  if (hold_out_ == 0) return;
  const size_t overlap = inputs_[0].samples->overlap();
  chosen_.clear();
  if (overlap > 0) {
    // Windows of one series: no row may be in both parts.
    const auto held_out = static_cast<size_t>(hold_out_ * static_cast<double>(wanted_.size()));
    const size_t first = wanted_.size() - held_out;
    for (size_t i = 0; i < wanted_.size(); ++i) {
      if (part == Part::kHeldOut ? i >= first : i + overlap < first) chosen_.push_back(wanted_[i]);
    }
  } else {
    for (size_t i : wanted_) {
      if (is_held_out(i, hold_out_) == (part == Part::kHeldOut)) chosen_.push_back(i);
    }
  }
  if (chosen_.empty())
    throw Error("--hold-out: leaves no samples " + std::string(part == Part::kHeldOut ? "to score by" : "to train on"));
}

std::vector<size_t> Dataset::in_turn(size_t most) const {
  std::map<size_t, std::vector<size_t>> classes;
  for (size_t i = 0; i < count(); ++i) {
    std::vector<size_t>& members = classes[has_labels() ? label(i) : 0];
    if (members.size() < most) members.push_back(i);
  }
  std::vector<size_t> result;
  for (size_t row = 0; row < most; ++row) {
    for (const auto& [number, members] : classes) {
      if (row < members.size() && result.size() < most) result.push_back(members[row]);
    }
  }
  return result;
}

std::string Dataset::time_of(size_t i, bool end) const {
  const io::Table* table = inputs_[0].samples->table();
  if (table == nullptr || table->times.empty()) return "";
  return table->times[chosen_[i] + (end ? inputs_[0].samples->overlap() : 0)];
}

const Dataset::Input* Dataset::find(const std::string& name) const {
  for (const Input& input : inputs_) {
    if (input.name == name && input.samples) return &input;
  }
  return nullptr;
}

}  // namespace figment::cli
