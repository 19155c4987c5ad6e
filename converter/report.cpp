// The conversion report as text for a person.
#include <algorithm>
#include <sstream>

#include "convert.h"
#include "io/terminal.h"

namespace figment::converter {

namespace {

void append_layers(const QuantizeReport& report, std::ostringstream* out) {
  std::vector<std::vector<std::string>> rows = {{"  layer", "op", "type", "SQNR", "range", "chosen by"}};
  for (const LayerReport& layer : report.layers) {
    const std::string range = "[" + io::format_number(layer.low, 3) + ", " + io::format_number(layer.high, 3) + "]";
    if (layer.int8) {
      rows.push_back({"  " + layer.name, format::name_of(layer.kind), "i8", io::format_number(layer.sqnr_db, 1) + " dB",
                      range, layer.range_choice});
    } else {
      rows.push_back({"  " + layer.name, format::name_of(layer.kind), "f32", "", "", layer.reason});
    }
  }
  *out << io::format_table(rows);
}

void append_int8(const QuantizeReport& report, std::ostringstream* out) {
  if (report.layers.empty()) {
    *out << "  int8: computes nothing that could be quantized\n";
    return;
  }
  const auto in_int8 = std::ranges::count_if(report.layers, &LayerReport::int8);
  if (in_int8 == 0) {
    *out << "  int8: nothing is int8, for the reasons below: the file is as without --int8\n";
    return append_layers(report, out);
  }
  *out << "  int8: PSNR " << io::format_number(report.psnr_db, 1) << " dB against f32, signal to noise "
       << io::format_number(report.snr_db, 1) << " dB at the least, calibrated on " << report.calibration_samples
       << " samples; " << (report.fully_int8 ? "fully int8: bit-identical on every target" : "not fully int8") << "\n";
  const auto of_file =
      std::ranges::count_if(report.layers, [](const LayerReport& layer) { return layer.int8 && layer.scale_of_file; });
  if (of_file > 0)
    *out << "  int8: the file's scales hold for the outputs of " << of_file << " of " << in_int8
         << " layers, the others are calibrated\n";
  append_layers(report, out);
}

}  // namespace

std::string to_text(const ConvertReport& report) {
  std::ostringstream out;
  for (const ProgramReport& program : report.programs) {
    out << "program " << program.name << "\n";
    for (const std::string& note : program.notes) out << "  " << note << "\n";
    if (!program.ops.empty() && program.ops[0].kernel.empty()) {
      out << "  " << program.ops.size() << " ops, for training in less memory\n";
      continue;
    }
    std::vector<std::vector<std::string>> rows = {{"  op", "name", "output", "runs on"}};
    for (const ProgramReport::Op& op : program.ops) rows.push_back({"  " + op.kind, op.name, op.output, op.kernel});
    out << io::format_table(rows);
    if (program.int8) append_int8(*program.int8, &out);
  }
  if (!report.trained.empty()) {
    std::vector<std::vector<std::string>> rows = {{"trained parameter", "shape"}};
    size_t values = 0;
    for (const TrainedReport& trained : report.trained) {
      const Shape shape = constant_shape(trained.shape);
      values += element_count(shape, 1).value();
      rows.push_back({trained.name, to_string(shape)});
    }
    out << io::format_table(rows) << report.trained.size() << " parameters of " << io::format_count(values)
        << " values train\n";
  }
  for (const std::string& note : report.notes) out << "note: " << note << "\n";
  out << "size: " << io::format_bytes(static_cast<double>(report.source_bytes)) << " before, "
      << io::format_bytes(static_cast<double>(report.file_bytes)) << " after\n";
  return out.str();
}

}  // namespace figment::converter
