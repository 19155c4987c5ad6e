// The whole conversion: import, passes, quantization, file. What figment-convert does, without its command line.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/arrays.h"
#include "io/table.h"
#include "ir/graph.h"
#include "objectives/objective.h"
#include "passes/quantize.h"
#include "recipe/recipe.h"

namespace figment::converter {

struct Source {
  std::string program;  // "" to choose: "generate" if it has a latent, else "run"
  std::string path;
};

// One of: programs for inference (`sources`), networks by role ("generator", "discriminator", "encoder", "decoder")
// under an objective, a recipe, or a model file of ours, trained or not.
struct ConvertOptions {
  std::vector<Source> sources;
  std::string objective;                                        // its name, or ""
  std::map<std::string, std::string> networks;                  // role -> ONNX file
  nlohmann::json objective_options = nlohmann::json::object();  // as a recipe gives them
  TrainingScope scope;
  std::string start_from;     // a trained .figment file, whose parameters take the place of those of the networks
  std::string recipe;         // a JSON file
  std::string model;          // a .figment file
  std::string checkpoint;     // a folder, whose parameters take the place of the model's
  std::string adapter;        // a file, likewise
  std::string name;           // of the model; "": the recipe's or the model's own, or
  std::string fallback_name;  // this
  std::string latent;         // the latent input's name; "" to find it
  Prior prior = Prior::kNormal;
  std::map<std::string, uint32_t> dimensions;  // sizes of dimensions that the exporter left open
  uint32_t length = 0;       // of the one that stays open beside the batch, where a session does not choose; 0: any
  bool fixed_batch = false;  // a batch that an exporter has fixed stays so
  bool int8 = false;
  bool half_weights = false;                  // weights that stay f32 are stored in f16
  std::optional<size_t> calibration_samples;  // of latents; default: as many as take a moderate time, up to 512
  // Samples by input name, in the input's shape or as io::Samples reads them; the latent is drawn.
  std::map<std::string, io::Array> calibration_data;
  std::map<std::string, std::string> calibration_files;  // the same as files or folders
  io::TableOptions calibration_table;                    // of .csv files of what the model generates
  std::set<std::string> calibration_classes;             // inputs that take class after class, one 1 among zeros
  std::set<std::string> keep_f32;
  double psnr_goal_db = 35;
  double keep_threshold_db = 3;
  double snr_goal_db = 20;
  bool keep_training = false;          // of a model file: the programs that train stay in it
  std::vector<uint32_t> plan_batches;  // for which the file carries memory plans
  bool outputs_given = false;          // the plans are for sessions of that option
  uint32_t micro_batch = 0;            // the plans are for sessions of that option
  std::vector<std::string> programs;   // of those that do not train, the only ones that are kept; empty: all
  bool strip = false;                  // what a device does not need is left out (write/repack.h)
  uint32_t level = 0;                  // of a model that trains, the one that is kept then
  std::optional<float> range_min;      // of the generated output; default by its last activation
  std::optional<float> range_max;
};

// What happened to one program.
struct ProgramReport {
  std::string name;
  std::vector<std::string> notes;  // folded, fused, laid out
  std::optional<QuantizeReport> int8;
  // For each op: kind, name, and the kernel that runs it on this machine.
  struct Op {
    std::string kind;
    std::string name;
    std::string output;
    std::string kernel;
  };
  std::vector<Op> ops;
  // "image [N, 1, 28, 28]"
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  bool trains = false;
  uint32_t level = 0;  // of one that trains: above 0, another way to compute a step, in less memory
};

// A parameter that training changes.
struct TrainedReport {
  std::string name;
  std::vector<uint32_t> shape;  // the exporter's
};

struct ConvertReport {
  std::vector<ProgramReport> programs;
  std::vector<TrainedReport> trained;
  std::vector<std::string> warnings;  // settings that do not fit each other, and what to type
  std::vector<std::string> notes;     // of the whole model
  uint64_t source_bytes = 0;          // of the files that it is made from; 0: of a recipe
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;      // values
  uint64_t run_bytes = 0;       // all memory of a session that runs one sample
  uint32_t training_batch = 0;  // of a model that trains, and all memory of a session that trains on it; 0: unknown
  uint64_t training_bytes = 0;
};

struct Converted {
  std::vector<uint8_t> file;
  ConvertReport report;
};

// Throws Error. `progress` may be empty.
Converted convert(const ConvertOptions& options, const Progress& progress);

// The ONNX ops that are imported, as rows of a table: since which opset, whether the ops that they become have
// gradients, int8 and kernels of XNNPACK, and what is not supported.
std::vector<std::vector<std::string>> op_table();
// The ops that XNNPACK has kernels for.
const std::set<OpKind>& xnnpack_kinds();

// The report for a person: all ops, layers and parameters.
std::string to_text(const ConvertReport& report);
// The same in 25 lines at most.
std::string summary(const ConvertReport& report);

}  // namespace figment::converter
