/* Teaches a trained image model new classes from a few samples, within a limit of memory, without the data that it was
 * trained on:
 *
 *   linux_fine_tune MODEL IMAGES LABELS NEW-CLASSES PER-CLASS STEPS BATCH MEMORY-MB OUTPUT [RATE]
 *   linux_fine_tune clothes.figment train-images-idx3-ubyte train-labels-idx1-ubyte 89 100 3000 8 12 tuned.figment
 *
 * So that the classes it knows do not fade, each batch holds samples of them that the model generated before it was
 * changed (generative replay: Shin et al., "Continual Learning with Deep Generative Replay", 2017). IMAGES and LABELS
 * are IDX files, not compressed, of which the first PER-CLASS images of each new class are read; NEW-CLASSES is a digit
 * for each. OUTPUT is the whole model or, if its name ends in .adapter, what was trained alone, to be merged into MODEL
 * (figment apply). RATE multiplies the generator's learning rate: adapters take more than a whole
 * network, 3 to 8. MEMORY-MB limits the session; the samples take 784 bytes each beside it, 8 of each known class for
 * one of a new. A model with an input "label" is told the classes of both.
 */
#include <figment/figment.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  kPixels = 28 * 28,
  kClasses = 10,
  kImageHeader = 16,
  kLabelHeader = 8,
  kReplays = 8 /* samples of a known class for each of a new one */
};

/* Samples and their classes: `count` of each. A byte holds a pixel. */
typedef struct {
  unsigned char* images;
  unsigned char* labels;
  int count;
} Samples;

static void* allocate(size_t count, size_t size) {
  void* memory = calloc(count, size);
  if (memory == NULL) {
    fprintf(stderr, "linux_fine_tune: out of memory\n");
    exit(1);
  }
  return memory;
}

static Samples make_room(int count) {
  return (Samples){allocate((size_t)count, kPixels), allocate((size_t)count, 1), count};
}

static void check(fig_status status) {
  if (status == FIG_OK) return;
  fprintf(stderr, "linux_fine_tune: %s\n", fig_error_message());
  exit(1);
}

/* The first `per_class` images of each class in `classes`. */
static Samples read_samples(const char* images_path, const char* labels_path, const char* classes, int per_class) {
  Samples samples = make_room((int)strlen(classes) * per_class);
  FILE* images = fopen(images_path, "rb");
  FILE* labels = fopen(labels_path, "rb");
  if (images == NULL || labels == NULL) {
    perror(images == NULL ? images_path : labels_path);
    exit(1);
  }
  int found[kClasses] = {0};
  int count = 0;
  unsigned char header[kImageHeader];
  bool good = fread(header, 1, kImageHeader, images) == kImageHeader && memcmp(header, "\0\0\10\3", 4) == 0 &&
              fread(header, 1, kLabelHeader, labels) == kLabelHeader && memcmp(header, "\0\0\10\1", 4) == 0;
  if (!good) {
    fprintf(stderr, "linux_fine_tune: %s and %s must be IDX files of bytes, not compressed\n", images_path,
            labels_path);
    exit(1);
  }
  while (good && count < samples.count) {
    const int label = fgetc(labels);
    good = label >= 0 && label < kClasses && fread(samples.images + count * kPixels, 1, kPixels, images) == kPixels;
    if (!good || strchr(classes, '0' + label) == NULL || found[label] == per_class) continue;
    ++found[label];
    samples.labels[count++] = (unsigned char)label;
  }
  fclose(images);
  fclose(labels);
  if (count < samples.count) {
    fprintf(stderr, "linux_fine_tune: %s and %s hold no %d images of each class of %s\n", images_path, labels_path,
            per_class, classes);
    exit(1);
  }
  return samples;
}

/* Whether the model generates under the condition "label". */
static bool has_label(const fig_model* model, const char* program_name) {
  fig_program_info program;
  fig_port_info port;
  for (uint32_t p = 0; fig_model_program(model, p, &program) == FIG_OK; ++p) {
    if (strcmp(program.name, program_name) != 0) continue;
    for (uint32_t i = 0; fig_model_input(model, p, i, &port) == FIG_OK; ++i) {
      if (strcmp(port.name, "label") == 0) return true;
    }
  }
  return false;
}

/* The input of the train programs that takes images and is not drawn; NULL if there is none. */
static const char* image_input(const fig_model* model) {
  fig_program_info program;
  fig_port_info port;
  fig_drawn_info drawn;
  for (uint32_t p = 0; fig_model_program(model, p, &program) == FIG_OK; ++p) {
    for (uint32_t i = 0; program.trains && fig_model_input(model, p, i, &port) == FIG_OK; ++i) {
      bool given = port.shape.rank == 4;
      for (uint32_t d = 0; fig_model_drawn(model, d, &drawn) == FIG_OK; ++d)
        given = given && strcmp(drawn.input, port.name) != 0;
      if (given) return port.name;
    }
  }
  return NULL;
}

/* What the model makes of the classes that are not new, in turn; a batch at a time. */
static Samples replay(fig_session* session, int batch, int per_class, const char* new_classes, bool conditional,
                      fig_output_info range) {
  Samples samples = make_room((kClasses - (int)strlen(new_classes)) * per_class * kReplays);
  float* generated = allocate((size_t)batch * kPixels, sizeof(float));
  float* one_hot = allocate((size_t)batch * kClasses, sizeof(float));
  int label = -1;
  for (int first = 0; first < samples.count; first += batch) {
    const int count = samples.count - first < batch ? samples.count - first : batch;
    memset(one_hot, 0, (size_t)batch * kClasses * sizeof(float));
    for (int i = 0; i < count; ++i) {
      do label = (label + 1) % kClasses;
      while (strchr(new_classes, '0' + label) != NULL);
      one_hot[i * kClasses + label] = 1;
      samples.labels[first + i] = (unsigned char)label;
    }
    const fig_tensor condition = {"label", one_hot, (size_t)count * kClasses, FIG_F32};
    fig_generate_options options = {.struct_size = sizeof options};
    options.first_index = (uint64_t)first;
    options.inputs = conditional ? &condition : NULL;
    options.input_count = conditional ? 1 : 0;
    check(fig_generate(session, (size_t)count, &options, generated, (size_t)count * kPixels));
    for (int i = 0; i < count * kPixels; ++i) {
      const float level = (generated[i] - range.range_min) / (range.range_max - range.range_min) * 255.0f;
      samples.images[first * kPixels + i] = (unsigned char)(level < 0 ? 0 : level > 255 ? 255 : level + 0.5f);
    }
  }
  free(generated);
  free(one_hot);
  return samples;
}

int main(int argc, char** argv) {
  if (argc != 10 && argc != 11) {
    return fprintf(stderr,
                   "usage: linux_fine_tune MODEL IMAGES LABELS NEW-CLASSES PER-CLASS STEPS BATCH MEMORY-MB OUTPUT "
                   "[RATE]\n"),
           2;
  }
  const char* classes = argv[4];
  const int per_class = atoi(argv[5]);
  const int steps = atoi(argv[6]);
  const int batch = atoi(argv[7]);
  const int megabytes = atoi(argv[8]);
  bool good = strspn(classes, "0123456789") == strlen(classes) && strlen(classes) > 0 && strlen(classes) < kClasses;
  for (const char* c = classes; *c != 0; ++c) good = good && strchr(c + 1, *c) == NULL;
  if (!good || per_class < 1 || per_class > 10000 || steps < 1 || batch < 2 || batch > 10000 || megabytes < 1) {
    return fprintf(stderr,
                   "linux_fine_tune: new classes are some of the digits 0 to 9, each once; counts are positive\n"),
           2;
  }
  fig_model* model = NULL;
  fig_session* session = NULL;
  fig_output_info output;
  fig_session_options options = {.struct_size = sizeof options};
  options.training = true;
  options.batch = (uint32_t)batch;
  options.memory_limit = (uint64_t)megabytes << 20;
  options.seed = 1;
  check(fig_model_open(argv[1], &model));
  check(fig_model_generated(model, &output));
  check(fig_session_create(model, &options, &session));
  fig_memory_report memory;
  check(fig_session_memory_used(session, &memory));
  const bool conditional = has_label(model, output.program);
  const Samples fresh = read_samples(argv[2], argv[3], classes, per_class);
  const Samples known = replay(session, batch, per_class, classes, conditional, output);

  /* Adam's rates go with the square root of the batch (Malladi et al. 2022); the model's fit 32 samples and more. A
   * short run: the average of the generator's parameters, which generates, must follow sooner. */
  const double rate = batch < 32 ? sqrt(batch / 32.0) : 1;
  const double generator_rate = argc == 11 ? atof(argv[10]) : 1;
  const char* name = NULL;
  for (uint32_t i = 0; fig_model_scalar(model, i, &name) == FIG_OK; ++i) {
    double value = 0;
    check(fig_session_get_scalar(session, name, &value));
    if (strstr(name, ".learning_rate") != NULL) check(fig_session_set_scalar(session, name, value * rate));
    if (strcmp(name, "g.learning_rate") == 0)
      check(fig_session_set_scalar(session, name, value * rate * generator_rate));
    if (strcmp(name, "g.ema_decay") == 0) check(fig_session_set_scalar(session, name, 0.998));
  }

  const char* input = image_input(model);
  if (input == NULL) return fprintf(stderr, "linux_fine_tune: the model does not train on images\n"), 1;
  float* images = allocate((size_t)batch * kPixels, sizeof(float));
  float* labels = allocate((size_t)batch * kClasses, sizeof(float));
  const fig_tensor tensors[] = {{input, images, (size_t)batch * kPixels, FIG_F32},
                                {"label", labels, (size_t)batch * kClasses, FIG_F32}};
  const fig_batch given = {sizeof given, (size_t)batch, tensors, conditional ? 2 : 1, NULL, 0};
  fig_metrics metrics = {0};
  srand(1);
  for (int step = 0; step < steps; ++step) {
    memset(labels, 0, (size_t)batch * kClasses * sizeof(float));
    for (int i = 0; i < batch; ++i) {
      /* Classes in the proportion of their number, as in a whole data set. */
      const bool is_new = rand() % kClasses < (int)strlen(classes);
      const Samples* from = is_new ? &fresh : &known;
      const int sample = rand() % from->count;
      for (int p = 0; p < kPixels; ++p) {
        images[i * kPixels + p] =
            output.range_min + (output.range_max - output.range_min) * from->images[sample * kPixels + p] / 255.0f;
      }
      labels[i * kClasses + from->labels[sample]] = 1;
    }
    check(fig_train_step(session, &given, &metrics));
    if ((step + 1) % 100 == 0 || step + 1 == steps) {
      fprintf(stderr, "step %d:", step + 1);
      for (uint32_t i = 0; i < metrics.count; ++i)
        fprintf(stderr, " %s %.3f", metrics.values[i].name, (double)metrics.values[i].value);
      fprintf(stderr, "\n");
    }
  }
  const char* const extension = strrchr(argv[9], '.');
  if (extension != NULL && strcmp(extension, ".adapter") == 0)
    check(fig_adapter_save(session, NULL, argv[9]));
  else
    check(fig_session_export(session, argv[9]));
  printf("%d steps, %.1f MB\n", steps, (double)memory.total / 1e6);
  void* const allocated[] = {fresh.images, fresh.labels, known.images, known.labels, images, labels};
  for (size_t i = 0; i < sizeof allocated / sizeof allocated[0]; ++i) free(allocated[i]);
  fig_session_destroy(session);
  fig_model_close(model);
  return 0;
}
