/* Checkpoints in flash: whatever moment the power goes at, the one before or the new one is there, and training goes on
 * from it as if nothing had been.
 *
 *   checkpoints MODEL */
#include <figment/figment.h>
#include <string.h>

#include "board.h"
#include "check.h"
#include "simulated_flash.h"

enum { BATCH = 4, MAX_INPUTS = 8, NOTE = 5 };

static unsigned char* free_memory;
static unsigned char* memory_end;

static void die(const char* what) {
  board_print(what);
  board_print(": ");
  board_print(fig_error_message());
  board_print("\n");
  board_exit(1);
}

#define EXPECT(condition)              \
  do {                                 \
    if (!(condition)) die(#condition); \
  } while (0)

static void* take(size_t bytes) {
  unsigned char* taken = free_memory;
  free_memory += (bytes + 63) / 64 * 64;
  EXPECT(free_memory <= memory_end);
  return taken;
}

typedef struct run {
  fig_model* model;
  fig_session* session;
  fig_tensor inputs[MAX_INPUTS];
  uint32_t count;
} run;

static run create(fig_model* model, uint64_t seed) {
  run result = {.model = model};
  const fig_session_options options = {.struct_size = sizeof options,
                                       .program = "",
                                       .batch = BATCH,
                                       .seed = seed,
                                       .kernels = FIG_KERNELS_PORTABLE,
                                       .training = true};
  fig_memory_report report;
  EXPECT(fig_session_init(model, &options, free_memory, (size_t)(memory_end - free_memory) / 64 * 64,
                          &result.session) == FIG_OK);
  EXPECT(fig_session_memory_used(result.session, &report) == FIG_OK);
  take((size_t)(report.programs + report.operators + report.variables + report.arena));
  fig_port_info port;
  for (; fig_model_batch_input(model, result.count, &port) == FIG_OK; ++result.count) {
    size_t elements = 1;
    for (uint32_t i = 0; i < port.shape.rank; ++i)
      elements *= port.shape.extents[i] * (port.shape.per_batch[i] ? BATCH : 1);
    result.inputs[result.count] = (fig_tensor){port.name, take(elements * sizeof(float)), elements, FIG_F32};
  }
  return result;
}

/* The step after those that the session has done, always on the same data. */
static void step(run* r) {
  static fig_metrics metrics;
  random_state random = {(uint32_t)fig_session_steps(r->session) + 1};
  for (uint32_t i = 0; i < r->count; ++i) {
    float* const values = r->inputs[i].data;
    for (size_t j = 0; j < r->inputs[i].elements; ++j) values[j] = (random_real(&random) + 1) / 2;
  }
  const fig_batch batch = {sizeof batch, BATCH, r->inputs, r->count, NULL, 0};
  EXPECT(fig_train_step(r->session, &batch, &metrics) == FIG_OK);
}

static uint64_t hash_of(const run* r) {
  uint64_t hash = hash_start();
  fig_parameter_info parameter;
  for (uint32_t i = 0; fig_model_parameter(r->model, i, &parameter) == FIG_OK; ++i) {
    size_t elements = 1;
    for (uint32_t d = 0; d < parameter.shape.rank; ++d) elements *= parameter.shape.extents[d];
    const size_t length = strlen(parameter.name);
    if (length > 9 && strcmp(parameter.name + length - 9, ".gradient") == 0) continue;
    EXPECT(elements * sizeof(float) <= (size_t)(memory_end - free_memory));
    if (fig_parameter_get(r->session, parameter.name, (float*)(void*)free_memory, elements) == FIG_OK)
      hash = hash_bytes(hash, free_memory, elements * sizeof(float));
  }
  return hash;
}

static uint64_t load(run* r, simulated_flash* flash, uint64_t steps) {
  const fig_flash driver = flash_driver(flash);
  char note[NOTE] = "";
  size_t size = 0;
  EXPECT(fig_checkpoint_load_flash(r->session, &driver, note, sizeof note, &size) == FIG_OK);
  EXPECT(size == NOTE && memcmp(note, "note", NOTE) == 0);
  EXPECT(steps == 0 || fig_session_steps(r->session) == steps);
  return hash_of(r);
}

static fig_status save(run* r, simulated_flash* flash) {
  const fig_flash driver = flash_driver(flash);
  return fig_checkpoint_save_flash(r->session, &driver, "note", NOTE);
}

/* The cells as they were kept, NULL: erased. */
static void restore(simulated_flash* flash, unsigned char* cells, const unsigned char* kept, int checked) {
  const size_t bytes = FLASH_SLOTS * flash->slot_bytes;
  if (kept == NULL)
    memset(cells, 0xFF, bytes);
  else
    memcpy(cells, kept, bytes);
  flash->operations = 0;
  flash->checked = checked;
  flash->torn_begin = flash->torn_end = 0;
}

int main(void) {
  static char line[1024];
  if (!board_command_line(line, sizeof line) || strchr(line, ' ') == NULL) {
    board_print("usage: checkpoints MODEL\n");
    return 2;
  }
  size_t size = 0;
  free_memory = board_memory(&size);
  memory_end = free_memory + size;
  EXPECT(board_read_file(strchr(line, ' ') + 1, free_memory, &size));
  const void* file = take(size);
  void* memory = take(fig_model_size());
  fig_model* model = NULL;
  EXPECT(fig_model_init(file, size, memory, fig_model_size(), &model) == FIG_OK);
  run trained = create(model, 7);
  run other = create(model, 8);
  size_t bytes = 0;
  EXPECT(fig_checkpoint_size(trained.session, NOTE, &bytes) == FIG_OK);
  for (size_t unit = 1; unit <= 256; unit *= 16) {
    const size_t slot_bytes = (bytes + unit - 1) / unit * unit;
    unsigned char* const before = free_memory;
    unsigned char* const cells = take(FLASH_SLOTS * slot_bytes);
    unsigned char* const kept = take(FLASH_SLOTS * slot_bytes);
    simulated_flash flash;
    flash_init(&flash, cells, slot_bytes, unit);
    fig_flash driver = flash_driver(&flash);
    EXPECT(fig_checkpoint_load_flash(other.session, &driver, NULL, 0, NULL) == FIG_NOT_FOUND);
    step(&trained);
    EXPECT(save(&trained, &flash) == FIG_OK);
    const uint64_t first_steps = fig_session_steps(trained.session);
    const uint64_t first = hash_of(&trained);
    EXPECT(load(&other, &flash, first_steps) == first);
    memcpy(kept, cells, FLASH_SLOTS * slot_bytes);

    /* The session that was loaded goes on as the one that was saved. */
    step(&trained);
    step(&other);
    const uint64_t second = hash_of(&trained);
    EXPECT(second != first && hash_of(&other) == second);

    paint_stack();
    flash.operations = 0;
    EXPECT(save(&trained, &flash) == FIG_OK);
    const size_t stack = painted_stack_used();
    const long operations = flash.operations;
    EXPECT(!flash.misused && load(&other, &flash, first_steps + 1) == second);
    if (unit == 1) {
      board_print("# checkpoint bytes ");
      board_print_number(bytes);
      board_print("\n# save stack ");
      board_print_number(stack);
      board_print("\n");
    }

    /* The power goes in the middle of each operation. */
    uint32_t new_ones = 0;
    for (long cut = 0; cut < 2 * operations; ++cut) {
      restore(&flash, cells, kept, cut >= operations);
      flash.cut = cut % operations;
      flash.random.state = (uint32_t)cut + 1;
      EXPECT(save(&trained, &flash) == FIG_IO_ERROR);
      flash.off = 0;
      flash.cut = -1;
      const uint64_t found = load(&other, &flash, 0);
      new_ones += found == second;
      EXPECT(found == (fig_session_steps(other.session) == first_steps ? first : second));
      /* What the cut left does not hinder the next. */
      EXPECT(save(&trained, &flash) == FIG_OK && load(&other, &flash, first_steps + 1) == second && !flash.misused);
    }
    /* In the first save of all there is nothing before it. */
    for (long cut = 0; cut < operations; ++cut) {
      restore(&flash, cells, NULL, 1);
      flash.cut = cut;
      flash.random.state = (uint32_t)cut + 1;
      EXPECT(save(&trained, &flash) == FIG_IO_ERROR);
      flash.off = 0;
      flash.cut = -1;
      char note[NOTE];
      size_t noted = 0;
      const fig_status found = fig_checkpoint_load_flash(other.session, &driver, note, NOTE, &noted);
      EXPECT(found == FIG_OK || found == FIG_NOT_FOUND || found == FIG_BAD_FILE);
      EXPECT(found != FIG_OK || hash_of(&other) == second);
      EXPECT(save(&trained, &flash) == FIG_OK && load(&other, &flash, first_steps + 1) == second && !flash.misused);
    }
    flash.checked = 0;
    board_print_number((uint64_t)operations);
    board_print(" cuts, ");
    board_print_number(new_ones);
    board_print(" left the new checkpoint\n");

    /* Worn-out flash is noticed, and what was there stays: the first byte, one in the middle, the last. */
    for (size_t i = 0; i < 3; ++i) {
      memcpy(cells, kept, FLASH_SLOTS * slot_bytes);
      flash.worn = i == 0 ? 0 : i == 1 ? slot_bytes / 2 : bytes - 9;
      while (i == 1 && cells[slot_bytes + flash.worn] == 0) ++flash.worn;
      const fig_status status = save(&trained, &flash);
      EXPECT(status == FIG_IO_ERROR || status == FIG_OK);
      EXPECT(load(&other, &flash, 0) == (status == FIG_OK ? second : first));
      EXPECT(i == 2 || status == FIG_IO_ERROR);
      flash.worn = SIZE_MAX;
    }

    /* Slots that hold something else, or are too small. */
    random_state random = {3};
    for (size_t i = 0; i < FLASH_SLOTS * slot_bytes; ++i) cells[i] = (unsigned char)random_bits(&random);
    EXPECT(fig_checkpoint_load_flash(other.session, &driver, NULL, 0, NULL) == FIG_BAD_FILE);
    EXPECT(save(&trained, &flash) == FIG_OK && load(&other, &flash, first_steps + 1) == second);
    driver.slot_bytes = bytes - 1;
    EXPECT(fig_checkpoint_save_flash(trained.session, &driver, "note", NOTE) == FIG_INVALID_ARGUMENT);
    driver = flash_driver(&flash);
    driver.program_bytes = 3;
    EXPECT(fig_checkpoint_save_flash(trained.session, &driver, "note", NOTE) == FIG_INVALID_ARGUMENT);
    driver.program_bytes = 1;
    driver.erase = NULL;
    EXPECT(fig_checkpoint_save_flash(trained.session, &driver, "note", NOTE) == FIG_INVALID_ARGUMENT);
    EXPECT(load(&other, &flash, first_steps + 1) == second);
    free_memory = before;
  }
  board_print("saved and loaded\n");
  fig_session_destroy(other.session);
  fig_session_destroy(trained.session);
  fig_model_close(model);
  return 0;
}
