// Static post-training quantization to int8: activations with one scale each, weights with one for each output
// channel; the arithmetic is that of docs/file_format.md.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "passes/quantize_rewrite.h"
#include "write/runner.h"

namespace figment::converter {

struct QuantizeOptions {
  std::set<std::string> keep_f32;  // names of nodes that stay f32
  double psnr_goal_db = 35;        // below it, linear layers that cost more than the threshold stay f32
  double keep_threshold_db = 3;
  double snr_goal_db = 20;  // signal to noise at each output, below which layers stay f32 until it is reached
  std::string latent;       // the input with a known prior, "" for none
  Prior prior = Prior::kNormal;
  uint64_t source_bytes = 0;  // of the model and of the data, which bound the memory that is used
  double peak = 0;            // of the output, for PSNR: white - black; 0: the largest difference seen
  // For sessions that find ranges and weights anew (fig_requantize): ranges are extremes, found with the portable
  // kernels, which give the same bits everywhere.
  Ranges ranges = Ranges::kSettled;
};

// A node of the f32 program and what became of it.
struct LayerReport {
  std::string name;
  OpKind kind{};
  bool int8 = false;
  std::string reason;          // why it stayed f32
  double sqnr_db = 0;          // signal to quantization noise of its output, all before it quantized too; if int8
  std::string range_choice;    // how its output's range was chosen
  bool scale_of_file = false;  // of its output, or of what passes through it
  double low = 0;
  double high = 0;
};

struct QuantizeReport {
  std::vector<LayerReport> layers;
  double psnr_db = 0;  // of all outputs against f32, on samples that were not calibrated on
  double snr_db = 0;   // signal to noise of the output that has least, on these or on all: whichever is less
  size_t calibration_samples = 0;
  bool fully_int8 = false;
  // By the f32 program's values: what bounds the magnitude of a range that was found; 0: nothing; nothing there where
  // the quantization is known beforehand.
  std::vector<std::optional<float>> limits;
};

// Called with the fraction done, and what is being computed.
using Progress = std::function<void(double fraction, const char* phase)>;

// Throws Error if so many samples to calibrate on take more memory than is due to the model and the data.
void check_memory(const Graph& graph, const QuantizeOptions& options, size_t samples);

// Replaces `graph` by its int8 version. `calibration` holds all inputs for `samples` samples, of which the last
// quarter is held out to measure on. Throws Error.
QuantizeReport quantize(Graph* graph, const QuantizeOptions& options, const TensorMap& calibration, size_t samples,
                        const Progress& progress);

}  // namespace figment::converter
