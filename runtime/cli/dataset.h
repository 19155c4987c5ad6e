// The data that training and evaluation read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "io/samples.h"
#include "scaling.h"

namespace figment::cli {

// How samples for an input look, in the range of what the model generates.
io::SampleForm form_of(const fig_port_info& port, const fig_output_info& output);

// Options of how pictures are read.
struct PictureArguments {
  std::string background = "white";
  std::string fit = "crop";

  void add_to(CLI::App* command);
  // Throws Error.
  io::PictureOptions options() const;
};

// Options of how .csv files are read.
struct TableArguments {
  io::TableOptions options;

  void add_to(CLI::App* command);
};

// Options that `train` and `evaluate` share.
struct DataArguments {
  std::vector<std::string> data;  // "[INPUT=]FILE"
  bool normalize = false;
  std::string labels;   // a file of class numbers
  std::string classes;  // "0-7,9"
  uint64_t limit = 0;   // 0: all
  double hold_out = 0;  // share
  PictureArguments pictures;
  TableArguments table;
  std::string preview;  // a picture to write

  void add_to(CLI::App* command);
  // Throws if `path`, which is to be written, is a file that these arguments or `model` name to be read.
  void check_kept(const std::string& path, const std::string& model) const;
};

// Samples for each input that data goes to, all of one number; of them those that the options choose.
class Dataset {
 public:
  enum class Part {
    kTraining,  // all but those held out
    kHeldOut,   // those held out, or all if none are
  };
  struct Input {
    std::string name;
    fig_port_info port{};
    size_t elements = 0;  // of a sample
    std::string path;     // empty: there is no data for it
    std::optional<io::Samples> samples;
    Scaling scaling;  // from what was measured; without channels there is none
  };

  // The first input is the one that must have data: "FILE" without a name is for the first that has none. Throws an
  // error that names the file or the option and what to do.
  Dataset(const OpenModel& open, const DataArguments& arguments, const std::vector<fig_port_info>& ports,
          const fig_output_info& output);

  // With --normalize, for what the model keeps no scaling of: by the samples that are trained on, also where others are
  // chosen.
  void find_scaling();
  // What the open training session keeps goes before what was found, and what was found is kept by it.
  void share_scaling(const OpenModel& open);

  // Which of the samples the following functions count; all, at first.
  void choose(Part part);

  size_t count() const { return chosen_.size(); }
  const std::vector<Input>& inputs() const { return inputs_; }
  // The input of that name if there is data for it, else nullptr.
  const Input* find(const std::string& name) const;
  // Sample `i` of an input.
  void copy(const Input& input, size_t i, float* out) const {
    input.samples->copy(chosen_[i], out);
    input.scaling.to_values({out, input.elements});
  }

  // Whether samples are windows of one series, which share rows.
  bool overlaps() const { return inputs_[0].samples->overlap() > 0; }
  bool has_labels() const { return !labels_.empty(); }
  // The file that the classes come from, beside the samples; "" of a folder's.
  const std::string& label_path() const { return label_path_; }
  size_t label(size_t i) const { return labels_[chosen_[i]]; }
  // The first samples, at most so many: of each class in turn, where classes are known.
  std::vector<size_t> in_turn(size_t most) const;
  // Where sample `i` stands in the data, of all samples; and whether the next chosen one stands right behind it.
  size_t place(size_t i) const { return chosen_[i]; }
  bool adjoins(size_t i) const { return i + 1 < chosen_.size() && chosen_[i + 1] == chosen_[i] + 1; }
  // The file of sample `i`, of a folder; else "".
  std::string file(size_t i) const { return inputs_[0].samples->file(chosen_[i]); }
  // The time at which sample `i`, a row or a window of a table with times, begins or ends; else "".
  std::string time_of(size_t i, bool end) const;
  // For messages.
  const std::string& path() const { return inputs_[0].path; }

 private:
  // Those of the first input's folder go to the one condition that has no data.
  void take_folder_labels();
  void read_labels(const DataArguments& arguments);
  // By the header of a table.
  void name_channels(Input* input) const;
  void choose_classes(const DataArguments& arguments);

  std::vector<Input> inputs_;
  std::string label_path_;
  std::vector<size_t> labels_;  // of all samples; empty if none are known
  std::vector<size_t> wanted_;  // those of the wanted classes, within the limit
  std::vector<size_t> chosen_;
  fig_output_info output_{};
  bool normalize_ = false;
  double hold_out_ = 0;
};

}  // namespace figment::cli
