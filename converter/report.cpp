// The conversion report as text for a person.
#include <algorithm>
#include <map>
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

using Lines = std::vector<std::string>;

// At most `most` of a list, the others counted.
void append_some(const std::string& title, const Lines& texts, size_t most, Lines* lines) {
  for (size_t i = 0; i < std::min(most, texts.size()); ++i) lines->push_back(title + texts[i]);
  if (texts.size() > most) lines->push_back("  and " + std::to_string(texts.size() - most) + " more");
}

// Of the layers that stay f32: which, by why.
Lines kept_layers(const QuantizeReport& report) {
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const LayerReport& layer : report.layers) {
    if (!layer.int8) by_reason[layer.reason].push_back(layer.name);
  }
  Lines texts;
  for (const auto& [reason, names] : by_reason) texts.push_back(reason + ": " + io::list_of(names));
  return texts;
}

// What a program takes and gives.
void append_program(const ProgramReport& program, Lines* lines) {
  constexpr size_t kWidth = 80;
  const std::string name = program.name + ", " + std::to_string(program.ops.size()) + " ops: ";
  const std::string given = io::list_of(program.outputs);
  if (program.trains) {
    lines->push_back(name + "a step");
    lines->push_back("  -> " + given);
  } else if (std::string line = name + io::list_of(program.inputs) + " -> " + given; line.size() <= kWidth) {
    lines->push_back(std::move(line));
  } else {
    lines->push_back(name + io::list_of(program.inputs));
    lines->push_back("  -> " + given);
  }
  if (!program.int8) return;
  const QuantizeReport& int8 = *program.int8;
  const auto in_int8 = std::ranges::count_if(int8.layers, &LayerReport::int8);
  if (in_int8 == 0) {
    lines->emplace_back("  int8: nothing is int8, the file is as without --int8");
  } else {
    lines->push_back("  int8: " + io::format_number(int8.psnr_db, 1) + " dB PSNR against f32, " +
                     std::to_string(in_int8) + " of " + std::to_string(int8.layers.size()) + " layers" +
                     (int8.fully_int8 ? "; the same bits on every target" : ""));
  }
  append_some("  f32: ", kept_layers(int8), 2, lines);
}

std::string sizes(const ConvertReport& report) {
  const auto bytes = [](uint64_t count) { return io::format_bytes(static_cast<double>(count)); };
  std::string text = "file: " + bytes(report.file_bytes);
  if (report.source_bytes > 0) text += ", from " + bytes(report.source_bytes);
  if (report.run_bytes > 0) text += "; memory: " + bytes(report.run_bytes) + " to run a sample";
  if (report.training_bytes > 0)
    text += ", " + bytes(report.training_bytes) + " to train at batch " + std::to_string(report.training_batch);
  return text;
}

}  // namespace

std::string summary(const ConvertReport& report) {
  constexpr size_t kMost = 24;
  constexpr size_t kNotes = 5;
  Lines lines;
  size_t levels = 0;
  for (const ProgramReport& program : report.programs) {
    levels += program.level > 0 ? 1 : 0;
    if (program.level == 0) append_program(program, &lines);
  }
  if (levels > 0) lines.push_back("and " + std::to_string(levels) + " programs to train in less memory");
  // What is said last is what all need; it stays where there is more than fits.
  Lines last;
  append_some("note: ", report.notes, kNotes, &last);
  uint64_t values = 0;
  for (const TrainedReport& trained : report.trained) values += element_count(constant_shape(trained.shape), 1).value();
  last.push_back("parameters: " + io::format_count(report.parameters) +
                 (values > 0 ? ", of which " + io::format_count(values) + " train" : ""));
  last.push_back(sizes(report));
  if (lines.size() + last.size() > kMost) {
    lines.resize(kMost - 1 - last.size());
    lines.emplace_back("...");
  }
  lines.insert(lines.end(), last.begin(), last.end());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string to_text(const ConvertReport& report) {
  std::ostringstream out;
  for (const ProgramReport& program : report.programs) {
    out << "program " << program.name << "\n";
    for (const std::string& note : program.notes) out << "  " << note << "\n";
    if (program.level > 0) {
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
  for (const std::string& warning : report.warnings) out << "warning: " << warning << "\n";
  out << sizes(report) << "\n";
  return out.str();
}

}  // namespace figment::converter
