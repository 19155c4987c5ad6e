#include "write/embed_c.h"

#include <fmt/format.h>
#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>

#include "figment/version.h"
#include "write/int8_form.h"
#include "write/runner.h"

namespace figment::converter {

namespace {

// What the stack of a Cortex-M holds at most in any call; tests/firmware/sessions_test.sh measures it. Ops of many
// operands take more while the model is opened and measured.
constexpr uint32_t kManyOperands = 16;
constexpr int kStackBytes = 4096;
constexpr int kStackBytesOfMany = 8192;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// A name in the letters of C's identifiers.
std::string in_letters(const std::string& name) {
  std::string result;
  for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return result;
}

// A name as an identifier of C, and as a header that hides none of the system's or of ours.
std::string identifier(const std::string& name) {
  static const std::set<std::string> taken = {
      "alloca",  "arduino", "assert", "complex",  "ctype",  "errno",       "features", "fenv",    "fcntl",
      "fig",     "figment", "float",  "inttypes", "iso646", "limits",      "locale",   "main",    "malloc",
      "math",    "memory",  "reent",  "sched",    "setjmp", "signal",      "stdalign", "stdarg",  "stdatomic",
      "stdbool", "stddef",  "stdint", "stdio",    "stdlib", "stdnoreturn", "string",   "strings", "tgmath",
      "threads", "time",    "uchar",  "unistd",   "wchar",  "wctype"};
  std::string result = in_letters(name);
  const bool digit = !result.empty() && std::isdigit(static_cast<unsigned char>(result[0])) != 0;
  if (result.empty() || digit || lower(result).starts_with("fig_") || taken.contains(lower(result)))
    result.insert(0, "model_");
  return result;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

size_t sample_elements(const fig_shape& shape) {
  size_t elements = 1;
  for (uint32_t d = 0; d < shape.rank; ++d) elements *= shape.extents[d];
  return elements;
}

class Embedder {
 public:
  Embedder(const std::vector<uint8_t>& file, const EmbedOptions& options)
      : file_(file), options_(options), runner_(file, session_options()) {
    fig_model_info info{};
    check(fig_model_get_info(model(), &info));
    name_ = identifier(info.name);
    macro_ = upper(name_);
    fig_session_options session = session_options();
    check(fig_session_footprint(model(), &session, &footprint_));
    check(fig_session_memory(model(), &session, &here_));
    add_ops(&runner_);
    if (!options_.trains) return;
    const fig_status carries = fig_requantize_size(runner_.session(), &requantize_bytes_);
    if (carries == FIG_NOT_FOUND) return;
    check(carries);
    const std::vector<uint8_t> form = requantized(file_);
    int8_bytes_ = form.size();
    fig_session_options one{};
    one.struct_size = sizeof one;
    one.kernels = FIG_KERNELS_PORTABLE;
    one.outputs_given = true;
    Runner runs(form, one);
    add_ops(&runs);
    check(fig_session_footprint(runs.model(), &one, &int8_footprint_));
    check(fig_session_memory(runs.model(), &one, &int8_here_));
  }

  Embedded embedded() const {
    return {{{name_ + ".c", source()}, {name_ + ".h", header()}}, file_.size(), footprint_.model + footprint_.session};
  }

 private:
  fig_model* model() { return runner_.model(); }

  // Those of all programs: a file with others does not open.
  void add_ops(Runner* runner) {
    fig_program_info program{};
    for (uint32_t p = 0; fig_model_program(runner->model(), p, &program) == FIG_OK; ++p) {
      for (uint32_t i = 0; i < program.ops; ++i) {
        fig_op_info op{};
        check(fig_model_op(runner->model(), p, i, &op));
        ops_.insert(op.kind);
        if (op.input_count > kManyOperands) stack_bytes_ = kStackBytesOfMany;
      }
    }
  }
  static void check(fig_status status) {
    if (status != FIG_OK) throw Error(fig_error_message());
  }

  fig_session_options session_options() const {
    fig_session_options session{};
    session.struct_size = sizeof session;
    session.batch = options_.batch;
    session.kernels = FIG_KERNELS_PORTABLE;
    session.training = options_.trains;
    session.outputs_given = !options_.trains;
    session.micro_batch = options_.micro_batch;
    return session;
  }

  // Sizes of what callers exchange, if the model generates.
  std::string samples() const {
    fig_output_info output{};
    fig_latent_info latent{};
    if (fig_model_latent(runner_model(), &latent) != FIG_OK) return "";
    std::string text = fmt::format("#define {}_LATENT_ELEMENTS {}\n", macro_, latent.size);
    fig_program_info program{};
    fig_port_info port{};
    for (uint32_t p = 0; fig_model_program(runner_model(), p, &program) == FIG_OK; ++p) {
      for (uint32_t i = 0; i < program.inputs && std::string(program.name) == latent.program; ++i) {
        if (fig_model_input(runner_model(), p, i, &port) != FIG_OK || std::string(port.name) == latent.input) continue;
        text += fmt::format("#define {}_INPUT_{}_ELEMENTS {} /* \"{}\" */\n", macro_, upper(in_letters(port.name)),
                            sample_elements(port.shape), std::strstr(port.name, "*/") == nullptr ? port.name : "");
      }
    }
    if (fig_model_generated(runner_model(), &output) != FIG_OK) return text;
    for (uint32_t p = 0; fig_model_program(runner_model(), p, &program) == FIG_OK; ++p) {
      for (uint32_t i = 0; i < program.outputs && std::string(program.name) == output.program; ++i) {
        if (fig_model_output(runner_model(), p, i, &port) == FIG_OK && std::string(port.name) == output.port)
          text += fmt::format("#define {}_SAMPLE_ELEMENTS {}\n", macro_, sample_elements(port.shape));
      }
    }
    return text;
  }

  static uint64_t block_of(const fig_memory_report& memory) {
    return memory.programs + memory.operators + memory.variables + memory.arena;
  }

  // Of the int8 form that sessions write, if the model carries one.
  std::string int8_form() const {
    if (int8_bytes_ == 0) return "";
    return fmt::format(
        "/* The model that fig_requantize writes, the memory that it takes to do so, and a session of it for one "
        "sample,\n"
        " * whose runs are given memory for outputs. */\n"
        "#define {0}_INT8_BYTES {1}\n#define {0}_REQUANTIZE_BYTES {2}\n"
        "#define {0}_INT8_SESSION_BYTES (sizeof(void*) == 4 ? {3} : {4})\n",
        macro_, int8_bytes_, requantize_bytes_, int8_footprint_.session, block_of(int8_here_));
  }

  std::string header() const {
    return fmt::format(
        R"(/* The model {name} for firmware. Written by figment-convert {version}. */
#ifndef FIGMENT_{macro}_H
#define FIGMENT_{macro}_H

#include <figment/figment.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* Bytes: flash for the model, to which code comes; memory, on Cortex-M and (for tests of firmware) on 64-bit machines;
 * and the stack, at its deepest in any call. */
#define {macro}_FLASH_BYTES {flash}
#define {macro}_MODEL_BYTES (sizeof(void*) == 4 ? {model} : {model_here})
#define {macro}_SESSION_BYTES (sizeof(void*) == 4 ? {session} : {session_here})
#define {macro}_ARENA_BYTES ({macro}_MODEL_BYTES + {macro}_SESSION_BYTES)
#define {macro}_STACK_BYTES {stack}
/* Samples computed at a time, and values of one. */
#define {macro}_BATCH {batch}
{samples}{int8}
/* Declares the memory: {macro}_ARENA(arena); */
#define {macro}_ARENA(name) static unsigned char name[{macro}_ARENA_BYTES] __attribute__((aligned(64)))

extern const unsigned char {name}_data[{macro}_FLASH_BYTES];

/* Opens the model and creates {session_kind}.
 * The arena must outlive both. On anything but FIG_OK, fig_error_message() says why. */
fig_status {name}_open(unsigned char* arena, uint64_t seed, fig_model** model, fig_session** session);

#ifdef __cplusplus
}}
#endif

#endif
)",
        fmt::arg("name", name_), fmt::arg("macro", macro_), fmt::arg("version", FIGMENT_VERSION),
        fmt::arg("flash", file_.size()), fmt::arg("model", footprint_.model), fmt::arg("session", footprint_.session),
        fmt::arg("model_here", fig_model_size()), fmt::arg("session_here", block_of(here_)),
        fmt::arg("stack", stack_bytes_), fmt::arg("batch", options_.batch), fmt::arg("samples", samples()),
        fmt::arg("int8", int8_form()),
        fmt::arg("session_kind",
                 options_.trains ? "a session that trains" : "a session whose runs are given memory for outputs"));
  }

  std::string source() const {
    std::string ops;
    for (const std::string& op : ops_) ops += fmt::format("    &fig_op_{},\n", op);
    std::string text = fmt::format(
        R"(/* The model {name} for firmware. Written by figment-convert {version}. */
#include "{name}.h"

#include <figment/ops.h>

/* The kernels that it needs; the linker leaves out all others. */
const fig_op* const fig_ops[] = {{
{ops}    NULL,
}};
const fig_planner* const fig_use_planner = NULL; /* the model carries its plan */
{training}
fig_status {name}_open(unsigned char* arena, uint64_t seed, fig_model** model, fig_session** session) {{
  const fig_session_options options = {{
      .struct_size = sizeof options, .batch = {macro}_BATCH, .seed = seed, {options}}};
  fig_status status = fig_model_init({name}_data, sizeof {name}_data, arena, {macro}_MODEL_BYTES, model);
  if (status != FIG_OK) return status;
  status = fig_session_init(*model, &options, arena + {macro}_MODEL_BYTES, {macro}_SESSION_BYTES, session);
  if (status != FIG_OK) fig_model_close(*model);
  return status;
}}

const unsigned char {name}_data[{macro}_FLASH_BYTES] __attribute__((aligned(64))) = {{
)",
        fmt::arg("name", name_), fmt::arg("macro", macro_), fmt::arg("version", FIGMENT_VERSION), fmt::arg("ops", ops),
        fmt::arg("training", options_.trains ? "" : "const fig_training* const fig_use_training = NULL;\n"),
        fmt::arg("options", !options_.trains ? ".outputs_given = true"
                            : options_.micro_batch != 0
                                ? fmt::format(".training = true, .micro_batch = {}", options_.micro_batch)
                                : ".training = true"));
    text.reserve(text.size() + file_.size() * 5);
    for (size_t i = 0; i < file_.size(); ++i) {
      text += std::to_string(file_[i]);
      text += i % 24 == 23 || i + 1 == file_.size() ? ",\n" : ",";
    }
    return text + "};\n";
  }

  // Reading a model changes nothing.
  const fig_model* runner_model() const { return const_cast<Runner&>(runner_).model(); }

  const std::vector<uint8_t>& file_;
  EmbedOptions options_;
  Runner runner_;
  std::string name_;
  std::string macro_;
  fig_footprint footprint_{};
  fig_memory_report here_{};
  fig_footprint int8_footprint_{};
  fig_memory_report int8_here_{};
  int stack_bytes_ = kStackBytes;
  size_t requantize_bytes_ = 0;
  size_t int8_bytes_ = 0;
  std::set<std::string> ops_;
};

}  // namespace

Embedded embed_c(const std::vector<uint8_t>& file, const EmbedOptions& options) {
  return Embedder(file, options).embedded();
}

}  // namespace figment::converter
