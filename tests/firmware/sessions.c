/* Runs and trains models with the public API alone, in memory of the caller's, and prints hashes of what they compute:
 *
 *   sessions run|ops|train|train-ops MODEL [BATCH]
 *
 * Lines are the same on every target; those that begin with # hold what is measured there: bytes, and instructions
 * where the clock counts them. */
#include <figment/figment.h>
#include <string.h>

#include "board.h"
#include "check.h"

enum { STEPS = 20, SEED = 7, MAX_INPUTS = 8 };

static unsigned char* free_memory;
static unsigned char* memory_end;
static int show_ops;

static void die(const char* what) {
  board_print(what);
  board_print(": ");
  board_print(fig_error_message());
  board_print("\n");
  board_exit(1);
}

#define CHECK(call)                   \
  do {                                \
    if ((call) != FIG_OK) die(#call); \
  } while (0)

static void* take(size_t bytes) {
  unsigned char* taken = free_memory;
  free_memory += (bytes + 63) / 64 * 64;
  if (free_memory > memory_end) die("memory of the board");
  return taken;
}

static size_t left(void) { return (size_t)(memory_end - free_memory) / 64 * 64; }

static void measured(const char* what, uint64_t value) {
  board_print("# ");
  board_print(what);
  board_print(" ");
  board_print_number(value);
  board_print("\n");
}

static void hashed(const char* what, uint64_t hash) {
  board_print(what);
  board_print(" ");
  print_hash(hash);
  board_print("\n");
}

static fig_session* create(fig_model* model, const fig_session_options* options) {
  fig_session* session = NULL;
  fig_memory_report report;
  size_t size = 0;
  paint_stack();
  /* Without a heap, it says so. */
  if (fig_session_size(model, options, &size) != FIG_OK && size != 0) die("a size of nothing");
  measured("size stack", painted_stack_used());
  paint_stack();
  const uint64_t start = board_clock();
  CHECK(fig_session_init(model, options, free_memory, left(), &session));
  measured("create instructions", board_clock() - start);
  measured("create stack", painted_stack_used());
  CHECK(fig_session_memory_used(session, &report));
  measured("session programs", report.programs);
  measured("session variables", report.variables);
  measured("session arena", report.arena);
  const uint64_t bytes = report.programs + report.operators + report.variables + report.arena;
  take((size_t)bytes);
  /* What a machine of other pointers says of this one must be true. */
  board_print("session bytes ");
#if defined(__unix__)
  fig_footprint footprint;
  CHECK(fig_session_footprint(model, options, &footprint));
  board_print_number(footprint.session);
#else
  board_print_number(bytes);
#endif
  board_print("\n");
  return session;
}

static size_t elements_of(const fig_shape* shape, size_t count) {
  size_t elements = 1;
  for (uint32_t i = 0; i < shape->rank; ++i) elements *= shape->extents[i] * (shape->per_batch[i] ? count : 1);
  return elements;
}

static void fill(float* values, size_t elements, const fig_port_info* port, uint32_t seed, int probabilities) {
  random_state random = {seed};
  for (size_t i = 0; i < elements; ++i) {
    const float real = random_real(&random);
    values[i] = probabilities ? (real + 1) / 2 : real;
    if (port->integers)
      values[i] = (float)(port->least + (int32_t)(random_bits(&random) % (uint32_t)(port->greatest - port->least + 1)));
  }
}

typedef struct profile {
  fig_model* model;
  uint64_t last;
} profile;

/* Prints the instructions of each op; those of updates, which are not shown, come with the op behind them, and those of
 * copying inputs with the first. */
static void show_op(void* context, uint32_t program, uint32_t op, const void* values) {
  profile* const p = context;
  fig_op_info info;
  (void)values;
  const uint64_t now = board_clock();
  if (fig_model_op(p->model, program, op, &info) != FIG_OK) return;
  board_print("# op ");
  board_print_number(program);
  board_print(" ");
  board_print_number(op);
  board_print(" ");
  board_print(info.kind);
  board_print(" ");
  board_print_number(now - p->last);
  board_print("\n");
  p->last = board_clock();
}

/* Each program that needs no training session, on made-up inputs. */
static void run_programs(fig_model* model, const fig_session_options* given) {
  fig_model_info info;
  CHECK(fig_model_get_info(model, &info));
  for (uint32_t p = 0; p < info.programs; ++p) {
    fig_program_info program;
    fig_tensor inputs[MAX_INPUTS], outputs[MAX_INPUTS];
    CHECK(fig_model_program(model, p, &program));
    if (program.trains) continue;
    unsigned char* const before = free_memory;
    fig_session_options options = *given;
    options.program = program.name;
    options.outputs_given = true;
    board_print(program.name);
    board_print("\n");
    fig_session* session = create(model, &options);
    for (uint32_t i = 0; i < program.inputs; ++i) {
      fig_port_info port;
      CHECK(fig_model_input(model, p, i, &port));
      const size_t elements = elements_of(&port.shape, options.batch);
      inputs[i] = (fig_tensor){port.name, take(elements * sizeof(float)), elements, FIG_F32};
      fill(inputs[i].data, elements, &port, 77 + i, 0);
    }
    for (uint32_t i = 0; i < program.outputs; ++i) {
      fig_port_info port;
      CHECK(fig_model_output(model, p, i, &port));
      const size_t elements = elements_of(&port.shape, options.batch);
      outputs[i] = (fig_tensor){port.name, take(elements * sizeof(float)), elements, FIG_F32};
    }
    profile observed = {model, 0};
    if (show_ops) CHECK(fig_session_observe(session, show_op, &observed));
    paint_stack();
    const uint64_t start = board_clock();
    observed.last = start;
    CHECK(fig_run(session, program.name, options.batch, inputs, program.inputs, outputs, program.outputs));
    measured("run instructions", board_clock() - start);
    measured("run stack", painted_stack_used());
    uint64_t hash = hash_start();
    for (uint32_t i = 0; i < program.outputs; ++i)
      hash = hash_bytes(hash, outputs[i].data, outputs[i].elements * sizeof(float));
    if (program.fully_int8)
      hashed("int8 outputs", hash);
    else
      hashed("outputs", hash);
    fig_session_destroy(session);
    free_memory = before;
  }
}

/* The int8 form of what was trained, of models that carry one. */
static void requantize(fig_session* session) {
  size_t bytes = 0;
  size_t size = 0;
  if (fig_requantize_size(session, &bytes) != FIG_OK) return;
  unsigned char* const memory = take(bytes);
  paint_stack();
  const uint64_t start = board_clock();
  CHECK(fig_requantize(session, memory, bytes, &size));
  measured("requantize instructions", board_clock() - start);
  measured("requantize stack", painted_stack_used());
  measured("requantize bytes", bytes);
  hashed("int8 form", hash_bytes(hash_start(), memory, size));
}

static void train(fig_model* model, fig_session_options* options) {
  options->training = true;
  fig_session* session = create(model, options);
  fig_objective_info objective;
  CHECK(fig_model_objective(model, &objective));
  const int probabilities = objective.likelihood == FIG_LIKELIHOOD_BERNOULLI;
  fig_tensor inputs[MAX_INPUTS];
  fig_port_info ports[MAX_INPUTS];
  uint32_t count = 0;
  for (; count < MAX_INPUTS && fig_model_batch_input(model, count, &ports[count]) == FIG_OK; ++count) {
    const size_t elements = elements_of(&ports[count].shape, options->batch);
    inputs[count] = (fig_tensor){ports[count].name, take(elements * sizeof(float)), elements, FIG_F32};
  }
  uint64_t hash = hash_start();
  uint64_t instructions = 0;
  size_t stack = 0;
  for (uint32_t step = 0; step < STEPS; ++step) {
    static fig_metrics metrics;
    for (uint32_t i = 0; i < count; ++i)
      fill(inputs[i].data, inputs[i].elements, &ports[i], step * MAX_INPUTS + i + 1, probabilities);
    const fig_batch batch = {sizeof(fig_batch), options->batch, inputs, count, NULL, 0};
    profile observed = {model, 0};
    if (show_ops && step + 1 == STEPS) CHECK(fig_session_observe(session, show_op, &observed));
    paint_stack();
    const uint64_t start = board_clock();
    observed.last = start;
    CHECK(fig_train_step(session, &batch, &metrics));
    instructions = board_clock() - start;
    const size_t used = painted_stack_used();
    stack = used > stack ? used : stack;
    for (uint32_t i = 0; i < metrics.count; ++i)
      hash = hash_bytes(hash, &metrics.values[i].value, sizeof metrics.values[i].value);
  }
  measured("step instructions", instructions);
  measured("step stack", stack);
  hashed("metrics", hash);
  hash = hash_start();
  fig_parameter_info parameter;
  for (uint32_t i = 0; fig_model_parameter(model, i, &parameter) == FIG_OK; ++i) {
    const size_t elements = elements_of(&parameter.shape, 1);
    const size_t length = strlen(parameter.name);
    /* Sums of gradients have no value between steps. */
    if (length > 9 && strcmp(parameter.name + length - 9, ".gradient") == 0) continue;
    if (elements * sizeof(float) > left()) die("memory of the board");
    if (fig_parameter_get(session, parameter.name, (float*)(void*)free_memory, elements) == FIG_OK)
      hash = hash_bytes(hash, free_memory, elements * sizeof(float));
  }
  hashed("parameters", hash);
  requantize(session);
  fig_session_destroy(session);
}

int main(void) {
  static char line[1024];
  const char* words[5] = {"", "", "", "", ""};
  if (!board_command_line(line, sizeof line)) return 2;
  size_t count = 0;
  for (char* at = line; *at != 0 && count < 5;) {
    words[count++] = at;
    while (*at != 0 && *at != ' ') ++at;
    while (*at == ' ') *at++ = 0;
  }
  if (count < 3) {
    board_print("usage: sessions run|ops|train|train-ops MODEL [BATCH]\n");
    return 2;
  }
  size_t size = 0;
  free_memory = board_memory(&size);
  memory_end = free_memory + size;
  if (!board_read_file(words[2], free_memory, &size)) die("reading the model");
  const void* file = take(size);
  void* memory = take(fig_model_size());
  fig_model* model = NULL;
  paint_stack();
  const uint64_t start = board_clock();
  CHECK(fig_model_init(file, size, memory, fig_model_size(), &model));
  measured("open instructions", board_clock() - start);
  measured("open stack", painted_stack_used());
  measured("model bytes", fig_model_size());
  fig_session_options options = {
      .struct_size = sizeof options, .batch = 1, .seed = SEED, .kernels = FIG_KERNELS_PORTABLE};
  if (count > 3) options.batch = (uint32_t)(words[3][0] - '0');
  show_ops = strstr(words[1], "ops") != NULL;
  if (strncmp(words[1], "train", 5) == 0)
    train(model, &options);
  else
    run_programs(model, &options);
  fig_model_close(model);
  return 0;
}
