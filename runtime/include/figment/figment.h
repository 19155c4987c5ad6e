/* Figment: deep generative models on small devices. The whole public C API.
 *
 *   fig_model* model;
 *   fig_session* session;
 *   fig_session_options options = {.struct_size = sizeof options, .batch = 16, .seed = 42};
 *   if (fig_model_open("dcgan.figment", &model) != FIG_OK) die(fig_error_message());
 *   if (fig_session_create(model, &options, &session) != FIG_OK) die(fig_error_message());
 *   if (fig_generate(session, 16, NULL, pixels, 16 * 28 * 28) != FIG_OK) die(fig_error_message());
 *   fig_session_destroy(session);
 *   fig_model_close(model);
 *
 * Conventions.
 *  - Every call that can fail returns a fig_status; on anything but FIG_OK, fig_error_message() says what was wrong
 *    and what to do, and nothing has been created or changed. No call aborts or throws.
 *  - Structs that the caller fills begin with struct_size = sizeof the struct; zero in any other field means default.
 *    The shorter struct of an older header is taken; a size that ends inside a field is refused.
 *  - Enums are 32 bits wide, whatever a compiler's options (-fshort-enums) say: the last value of each sees to that.
 *  - Tensors are f32, dense, row-major, in the shape and layout that the exporter of the model gave them.
 *  - Strings returned by the library are UTF-8, end in NUL, and live as long as the model they come from.
 *  - Threads: a model may be used from any number of threads at once; a session from one at a time. A session of more
 *    than one thread belongs to the process that created it: in a forked child, calls that compute are refused
 *    (FIG_INVALID_ARGUMENT), all others work.
 *  - After fig_session_create no call on the session allocates memory.
 */
#ifndef FIGMENT_FIGMENT_H
#define FIGMENT_FIGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "figment/version.h"

#if defined(__GNUC__)
#define FIG_API __attribute__((visibility("default")))
#else
#define FIG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fig_status {
  FIG_OK = 0,
  FIG_INVALID_ARGUMENT = 1,    /* a wrong name, count, size or pointer */
  FIG_BAD_FILE = 2,            /* truncated, corrupt or inconsistent */
  FIG_UNSUPPORTED_VERSION = 3, /* of the file's schema */
  FIG_UNSUPPORTED = 4,         /* this build or processor cannot run it */
  FIG_OUT_OF_MEMORY = 5,       /* the system refused */
  FIG_MEMORY_LIMIT = 6,        /* the caller's limit is too small; the message says what is needed */
  FIG_IO_ERROR = 7,            /* the system refused to read or write */
  FIG_NOT_FOUND = 8,           /* no file, program or tensor of that name */
  FIG_INTERNAL = 9,            /* a defect in Figment: please report */
  FIG_STATUS_32_BITS = 0x7FFFFFFF
} fig_status;

/* The library's version as "major.minor.patch"; compare with FIGMENT_VERSION. */
FIG_API const char* fig_version(void);

/* The kernels that this library computes with on this processor, for reports: "XNNPACK 0.20241108, AVX2". Never NULL.
 */
FIG_API const char* fig_kernels_name(void);

/* "ok", "invalid argument", ...; never NULL. */
FIG_API const char* fig_status_name(fig_status status);

/* What the last failing call of this thread had to say; "" if none failed. Valid until the thread's next failing call.
 */
FIG_API const char* fig_error_message(void);

/* ---- Models -------------------------------------------------------------------------------------------------- */

typedef struct fig_model fig_model;

/* Maps and verifies the file at `path`. Close with fig_model_close. The file must not change meanwhile. */
FIG_API fig_status fig_model_open(const char* path, fig_model** model);

/* The same for `size` bytes in memory, aligned to 64, which must stay unchanged until the model and all its sessions
 * are gone. Nothing is copied. */
FIG_API fig_status fig_model_open_memory(const void* data, size_t size, fig_model** model);

/* The same in memory of the caller's: fig_model_size() bytes aligned to 64, which must outlive the model and all its
 * sessions. Takes no memory from the system; FIG_UNSUPPORTED for a file with weights in f16, which are widened. */
FIG_API size_t fig_model_size(void);
FIG_API fig_status fig_model_init(const void* data, size_t size, void* memory, size_t bytes, fig_model** model);

/* NULL is allowed. Sessions of the model stay usable: its memory goes with the last of them. */
FIG_API void fig_model_close(fig_model* model);

enum { FIG_MAX_RANK = 6 };

typedef enum fig_type { FIG_F32 = 0, FIG_I8 = 1, FIG_I32 = 2, FIG_I64 = 3, FIG_TYPE_32_BITS = 0x7FFFFFFF } fig_type;

/* A shape; dimension i is extents[i], times the batch if per_batch[i]. */
typedef struct fig_shape {
  uint32_t rank;
  uint32_t extents[FIG_MAX_RANK];
  bool per_batch[FIG_MAX_RANK];
} fig_shape;

typedef struct fig_model_info {
  const char* name;
  const char* producer; /* the program and version that wrote the file */
  uint32_t schema_version;
  uint64_t file_bytes;
  uint64_t parameter_elements; /* values that came from the exporter's parameters */
  uint32_t programs;
  uint32_t constants;
  uint32_t metadata; /* entries, read with fig_model_metadata */
} fig_model_info;

FIG_API fig_status fig_model_get_info(const fig_model* model, fig_model_info* info);

/* Entry `index` of the metadata, in the order of the keys. */
FIG_API fig_status fig_model_metadata(const fig_model* model, uint32_t index, const char** key, const char** value);

/* How models are compared while they train. */
typedef enum fig_score {
  FIG_SCORE_NONE = 0,
  FIG_SCORE_DISTANCE = 1,             /* of generated from real samples */
  FIG_SCORE_EVIDENCE_LOWER_BOUND = 2, /* of a VAE, by "encode" and the program that generates */
  FIG_SCORE_32_BITS = 0x7FFFFFFF
} fig_score;

/* What the program that generates returns under p(sample | latent). */
typedef enum fig_likelihood {
  FIG_LIKELIHOOD_NONE = 0,
  FIG_LIKELIHOOD_BERNOULLI = 1,        /* probabilities */
  FIG_LIKELIHOOD_BERNOULLI_LOGITS = 2, /* their logits */
  FIG_LIKELIHOOD_GAUSSIAN = 3,         /* means, of variance 1 */
  FIG_LIKELIHOOD_32_BITS = 0x7FFFFFFF
} fig_likelihood;

/* What a model was trained to do. */
typedef struct fig_objective_info {
  const char* name; /* "gan", "infogan", "vae", "classifier" */
  const char* loss; /* the kind of its loss: "hinge", "bernoulli", "cross-entropy" */
  fig_score score;
  fig_likelihood likelihood;
  const char* divergence_weight; /* the scalar that weights the divergence of the evidence lower bound; "": 1 */
  uint32_t metrics;
} fig_objective_info;

/* FIG_NOT_FOUND if the model was not made for training. */
FIG_API fig_status fig_model_objective(const fig_model* model, fig_objective_info* info);

typedef enum fig_metric_kind {
  FIG_METRIC_LOSS = 0,
  FIG_METRIC_TERM = 1,       /* a part of a loss */
  FIG_METRIC_DIAGNOSTIC = 2, /* neither: a gradient's norm */
  FIG_METRIC_KIND_32_BITS = 0x7FFFFFFF
} fig_metric_kind;

/* What a train step may report (fig_metrics): not every program of the schedule, or strategy, reports all. */
typedef struct fig_metric_info {
  const char* name;
  fig_metric_kind kind;
  float saturation; /* below this magnitude the loss has saturated; 0: it never does */
} fig_metric_info;

/* Metrics in the order in which people read them; FIG_NOT_FOUND past the last. */
FIG_API fig_status fig_model_metric(const fig_model* model, uint32_t index, fig_metric_info* info);

typedef struct fig_program_info {
  const char* name;
  uint32_t inputs;
  uint32_t outputs;
  uint32_t tensors;
  uint32_t ops;
  bool fully_int8;    /* outputs are bit-identical on every target for the same inputs */
  bool trains;        /* changes variables: runs in sessions created for training */
  uint32_t level;     /* of a program that trains: 0 for the fastest way to compute a step, others take less memory */
  bool couples_batch; /* samples depend on each other (a mean over the batch): it takes the session's batch exactly */
} fig_program_info;

FIG_API fig_status fig_model_program(const fig_model* model, uint32_t index, fig_program_info* info);

/* N(0, 1); uniform on [-1, 1); one value is 1, the others 0. */
typedef enum fig_prior {
  FIG_PRIOR_NORMAL = 0,
  FIG_PRIOR_UNIFORM = 1,
  FIG_PRIOR_CATEGORICAL = 2,
  FIG_PRIOR_32_BITS = 0x7FFFFFFF
} fig_prior;

/* An input or output of a program. */
typedef struct fig_port_info {
  const char* name;
  uint32_t tensor; /* index among the program's tensors */
  fig_shape shape; /* the exporter's */
  bool integers; /* labels, indices, booleans: takes and gives FIG_I32 and FIG_I64 too; an input's values are checked */
  int32_t least; /* of an input's integers */
  int32_t greatest;
  bool drawn;      /* an input that the session draws where it is not given, a new value for each sample of each call */
  fig_prior prior; /* from which it draws */
  uint32_t growth[FIG_MAX_RANK]; /* of the shape, for each unit of the length more (fig_model_length) */
} fig_port_info;

FIG_API fig_status fig_model_input(const fig_model* model, uint32_t program, uint32_t index, fig_port_info* info);
FIG_API fig_status fig_model_output(const fig_model* model, uint32_t program, uint32_t index, fig_port_info* info);

/* The length that a session may choose, of sequences or sound. */
typedef struct fig_length_info {
  const char* name; /* the exporter's */
  uint32_t length;  /* of the shapes above: that of a session which does not choose */
  uint32_t least;   /* then least + unit, least + 2 unit, ... */
  uint32_t unit;
  uint32_t greatest; /* beyond, the network would do something else, or has not been tried */
} fig_length_info;

/* FIG_NOT_FOUND if the model has no length to choose. */
FIG_API fig_status fig_model_length(const fig_model* model, fig_length_info* info);

typedef struct fig_tensor_info {
  const char* name;
  fig_type type;
  bool constant;
  fig_shape shape; /* ours: images are NHWC */
  float scale;     /* i8 with one scale: real = scale * (q - zero_point); else 0 */
  int32_t zero_point;
  bool exporters; /* a tensor of the exporter's file, under its name: our dimension i is its dimension permutation[i] */
  uint32_t permutation[FIG_MAX_RANK];
  uint32_t growth[FIG_MAX_RANK]; /* as of a port */
} fig_tensor_info;

FIG_API fig_status fig_model_tensor(const fig_model* model, uint32_t program, uint32_t index, fig_tensor_info* info);

typedef struct fig_op_info {
  const char* kind;       /* "conv2d", ... */
  const char* name;       /* the exporter's */
  const uint32_t* inputs; /* tensors */
  uint32_t input_count;
  uint32_t output;
  uint64_t multiply_adds; /* of its sums of products, for a sample */
} fig_op_info;

FIG_API fig_status fig_model_op(const fig_model* model, uint32_t program, uint32_t index, fig_op_info* info);

/* What generation draws. */
typedef struct fig_latent_info {
  const char* program;
  const char* input;
  size_t size;     /* its codes included */
  fig_prior prior; /* N(0, 1), or uniform on [-1, 1); of the values before the codes */
  uint32_t codes;  /* read with fig_model_code */
} fig_latent_info;

/* FIG_NOT_FOUND if the model does not generate from a latent. */
FIG_API fig_status fig_model_latent(const fig_model* model, fig_latent_info* info);

/* Values of the latent with a meaning of their own, as InfoGAN learns them. */
typedef struct fig_code_info {
  const char* name;
  size_t start; /* among the latent's values */
  size_t size;
  fig_prior prior; /* categorical: one value is 1, the others 0 */
} fig_code_info;

/* FIG_NOT_FOUND past the last. */
FIG_API fig_status fig_model_code(const fig_model* model, uint32_t index, fig_code_info* info);

/* Latent `index` of those that sessions of `seed` draw, the same on every target: `elements` is its size, of models
 * with a length to choose that at any length. To look at it or to change it before it goes to fig_decode or
 * fig_generate. */
FIG_API fig_status fig_model_draw_latent(const fig_model* model, uint64_t seed, uint64_t index, float* latent,
                                         size_t elements);

/* What people measure for the values of a channel, an index of the last dimension of an input:
 * measured = offset + scale * value. `scale` is 0 where that is not known. Text is UTF-8 and ends in NUL. */
typedef struct fig_scaling {
  float offset;
  float scale;
  char name[32]; /* "temperature" */
  char unit[16]; /* "°C" */
} fig_scaling;

/* Of an input of a batch; NULL: of the samples, which are also what the model generates and encodes. FIG_NOT_FOUND past
 * the last channel, and if the model has no room for it; one that has not been found yet has a scale of 0. */
FIG_API fig_status fig_model_scaling(const fig_model* model, const char* input, uint32_t channel, fig_scaling* scaling);

/* How the generated output is to be read. */
typedef struct fig_output_info {
  const char* program;
  const char* port;
  bool image;      /* [N, channels, height, width] */
  float range_min; /* black */
  float range_max; /* white */
  bool bounded;    /* samples lie in the range */
} fig_output_info;

/* FIG_NOT_FOUND if the file says nothing about it. */
FIG_API fig_status fig_model_generated(const fig_model* model, fig_output_info* info);

/* ---- Sessions ------------------------------------------------------------------------------------------------ */

typedef struct fig_session fig_session;

typedef enum fig_kernels {
  FIG_KERNELS_BEST = 0,     /* XNNPACK where it is better */
  FIG_KERNELS_PORTABLE = 1, /* plain C++ alone: slow, for comparison */
  FIG_KERNELS_32_BITS = 0x7FFFFFFF
} fig_kernels;

typedef struct fig_session_options {
  size_t struct_size;
  const char* program;   /* prepare these programs alone: a name, or several with commas between them; NULL: all */
  uint32_t batch;        /* samples computed at a time; 0: 1 */
  uint32_t threads;      /* including the caller's; 0: 1 */
  void* thread_pool;     /* a pthreadpool_t to use instead; it must outlive the session */
  uint64_t memory_limit; /* bytes, of all that fig_memory_report counts; 0: none */
  uint64_t seed;         /* of the latents */
  fig_kernels kernels;
  bool training; /* prepare the train programs too, on the session's own copy of the variables; `program` says which of
                    the others, "" none */
  uint32_t micro_batch; /* train on so many samples of a batch at a time and accumulate their gradients; not for models
                           whose batch normalization couples the batch; 0: as the memory limit demands */
  uint32_t length;      /* of models that have one to choose (fig_model_length); 0: the file's */
  bool outputs_given;   /* each run is given memory for all outputs, for as many samples as the batch: those that are
                           computed last, in the exporter's layout, are written there alone and take no room in the
                           session */
} fig_session_options;

/* Plans the memory and prepares the kernels; later calls allocate nothing. The first session of a model packs its
 * weights, which later ones share. `options` may be NULL. Destroy with fig_session_destroy. */
FIG_API fig_status fig_session_create(fig_model* model, const fig_session_options* options, fig_session** session);

/* NULL is allowed. */
FIG_API void fig_session_destroy(fig_session* session);

/* The same in memory of the caller's, in three steps. A session then takes no memory from the system.
 *
 *   fig_model_pack_size(model, &options, &weight_bytes);        // 0 where the kernels read the file's weights
 *   fig_model_pack(model, &options, weights, weight_bytes);
 *   fig_session_size(model, &options, &bytes);
 *   fig_session_init(model, &options, memory, bytes, &session);
 *
 * All memory is aligned to 64 and the caller's to release: the session's after fig_session_destroy, the weights' after
 * the model and all its sessions. Measuring and packing take memory from the system for a while, and the process's
 * first session prepares XNNPACK, which keeps some. Packing is for sessions of these options; others may need more. A
 * session of more than one thread needs options->thread_pool. FIG_MEMORY_LIMIT: `bytes`, which fig_session_size rounds
 * up, are too few (with options->memory_limit, a training session may find a slower strategy for them).
 */
FIG_API fig_status fig_model_pack_size(fig_model* model, const fig_session_options* options, size_t* bytes);
FIG_API fig_status fig_model_pack(fig_model* model, const fig_session_options* options, void* memory, size_t bytes);
FIG_API fig_status fig_session_size(fig_model* model, const fig_session_options* options, size_t* bytes);
FIG_API fig_status fig_session_init(fig_model* model, const fig_session_options* options, void* memory, size_t bytes,
                                    fig_session** session);

/* Bytes. A session is one block: programs + operators + variables + arena. `total` is the block, the model and its
 * packed weights: all that is taken, but for the threads of a session that has its own (their stacks, and what
 * pthreadpool keeps of them); while it is created, `peak`. */
typedef struct fig_memory_report {
  uint64_t model; /* the file, mapped or in the caller's memory, fig_model_size(), and its f16 weights as f32 */
  uint64_t packed_weights; /* of the model, shared by its sessions */
  uint64_t programs;       /* what the session holds of ops, tensors, and itself */
  uint64_t operators;      /* XNNPACK's operators and indirection buffers */
  uint64_t variables;      /* a training session's parameters, optimizer state and statistics */
  uint64_t arena;          /* activations and workspaces */
  uint64_t total;
  uint64_t peak;              /* the most while the session is created: more than `total` where weights are rearranged
                                 before they are packed; what memory limits are compared with */
  uint64_t arena_lower_bound; /* no plan could have a smaller arena; 0: unknown, as of a plan that the file carries */
} fig_memory_report;

/* What a session would need, without creating it and without a limit; packs the model's weights if no session has yet,
 * since only then their size is known. */
FIG_API fig_status fig_session_memory(fig_model* model, const fig_session_options* options, fig_memory_report* report);
/* What a session uses. */
FIG_API fig_status fig_session_memory_used(const fig_session* session, fig_memory_report* report);

/* What a bare-metal target takes, whose pointers have 32 bits and whose kernels are the portable ones, in bytes: flash
 * for the file, and memory for fig_model_init and fig_session_init. */
typedef struct fig_footprint {
  uint64_t file;
  uint64_t model;
  uint64_t session; /* programs + variables + arena */
  uint64_t programs;
  uint64_t variables;
  uint64_t arena;
  uint32_t level; /* of a train step: 0 is the fastest */
  uint32_t micro_batch;
} fig_footprint;

/* Of a session of the options, of which threads and kernels do not count; the memory limit is of `model` and `session`
 * together. Computed here, for there. */
FIG_API fig_status fig_session_footprint(fig_model* model, const fig_session_options* options,
                                         fig_footprint* footprint);

/* Where a program's tensor lies in the arena, and from which step to which it is alive (step 0 is the copy of the
 * inputs; op i runs in step i + 1). */
typedef struct fig_placement {
  uint64_t offset;
  uint64_t bytes;
  uint32_t first;
  uint32_t last;
} fig_placement;

/* FIG_NOT_FOUND for constants. */
FIG_API fig_status fig_session_placement(const fig_session* session, uint32_t program, uint32_t tensor,
                                         fig_placement* placement);

/* The same for the scratch memory of an op; FIG_NOT_FOUND if it needs none. */
FIG_API fig_status fig_session_scratch(const fig_session* session, uint32_t program, uint32_t op,
                                       fig_placement* placement);
/* The size of a program's arena. The programs of a session lie in the same memory. */
FIG_API fig_status fig_session_arena(const fig_session* session, uint32_t program, uint64_t* bytes);

/* Whether the session can run a program. A session that was created for one program runs that one. Others run all
 * programs that do not train and, if they train, the train programs of the level that their memory limit allows. */
FIG_API bool fig_session_has_program(const fig_session* session, uint32_t program);

/* As fig_model_input and fig_model_output, with shapes of the session's length. */
FIG_API fig_status fig_session_input(const fig_session* session, uint32_t program, uint32_t index, fig_port_info* info);
FIG_API fig_status fig_session_output(const fig_session* session, uint32_t program, uint32_t index,
                                      fig_port_info* info);

/* The kernel that runs an op. */
FIG_API fig_status fig_session_kernel(const fig_session* session, uint32_t program, uint32_t op, const char** name);

/* What an observer is shown: the values of the tensor that an op has just computed (fig_op_info.output), in our layout
 * and type, for the session's batch; valid during the call; updates of variables are not shown. The observer calls
 * nothing on the session, and neither throws nor jumps out. */
typedef void (*fig_observer)(void* context, uint32_t program, uint32_t op, const void* values);

/* From now on all runs of the session show `observer` what each op computes, in order; NULL: no more. To find where a
 * model leaves its exporter's, layer by layer. */
FIG_API fig_status fig_session_observe(fig_session* session, fig_observer observer, void* context);

/* ---- Running ------------------------------------------------------------------------------------------------- */

/* A named tensor in the caller's memory. Integers (int32_t, int64_t) are for ports that hold them (fig_port_info). */
typedef struct fig_tensor {
  const char* name;
  void* data;      /* inputs are only read */
  size_t elements; /* checked against the shape */
  fig_type type;   /* FIG_F32, which is 0, FIG_I32 or, but for bare metal, FIG_I64 */
} fig_tensor;

typedef struct fig_generate_options {
  size_t struct_size;
  uint64_t first_index; /* of the latents: sample i is generated from latent first_index + i of the session's seed */
  const float* latents; /* [count, latent size] to use instead of drawing; NULL: draw */
  float* latents_out;   /* receives the latents used; NULL: not wanted */
  const fig_tensor* inputs; /* conditions: the generator's other inputs, each for `count` samples */
  size_t input_count;
} fig_generate_options;

/* Generates `count` samples (any number; the session's batch at a time) into `out`, which holds `out_elements` values:
 * exactly count times one sample of the model's generated output. The same seed and index give the same latent on every
 * target, whatever the batch. `options` may be NULL. */
FIG_API fig_status fig_generate(fig_session* session, size_t count, const fig_generate_options* options, float* out,
                                size_t out_elements);

/* Runs a program (NULL: the only one) on `count` samples, the session's batch at a time. All inputs must be given but
 * those that the session draws (fig_port_info.drawn): of these each sample has its own, counted from the session's
 * first call on, so that the same calls on sessions of one seed give the same results. Integers outside of an input's
 * range are FIG_INVALID_ARGUMENT. Outputs that are not wanted may be left out. A program without batch dimensions takes
 * count 1, one whose samples depend on each other (fig_program_info.couples_batch) the session's batch exactly. */
FIG_API fig_status fig_run(fig_session* session, const char* program, size_t count, const fig_tensor* inputs,
                           size_t input_count, const fig_tensor* outputs, size_t output_count);

/* ---- Training ------------------------------------------------------------------------------------------------ */

/* A model that figment-convert made with an objective, or from a recipe, holds its train step. A session that is
 * created with options.training has its own copy of what training changes.
 *
 *   while (fig_session_steps(session) < steps) {
 *     fill(images, labels);                                          // a batch of your data
 *     const fig_tensor inputs[] = {{"sample", images, 32 * 784}, {"label", labels, 32 * 10}};
 *     const fig_batch batch = {.struct_size = sizeof batch, .count = 32, .inputs = inputs, .input_count = 2};
 *     fig_metrics metrics;
 *     if (fig_train_step(session, &batch, &metrics) != FIG_OK) die(fig_error_message());
 *   }
 *
 * What a batch holds, fig_model_batch_input says: in models from a recipe "sample" ("sample": {"name": ...} calls it
 * otherwise) and the recipe's conditions; in models from ONNX files the inputs of those, but what is drawn: latents and
 * dropout. */

/* The inputs that a batch holds, by name, with their shapes for one sample; FIG_NOT_FOUND past the last. `tensor`
 * counts among the tensors of the first train program that reads it. */
FIG_API fig_status fig_model_batch_input(const fig_model* model, uint32_t index, fig_port_info* info);

/* One batch. All memory is the caller's and only read. It is checked as a whole before the step: a name that no train
 * program reads, or that comes twice, is an error, and so is one value a channel for batch normalization. */
typedef struct fig_batch {
  size_t struct_size;
  size_t count;             /* samples: at most the session's batch */
  const fig_tensor* inputs; /* the data that the train programs read, by name, each for `count` samples */
  size_t input_count;
  const fig_tensor* latents; /* to use instead of drawing, by name; those that are not given are drawn */
  size_t latent_count;
} fig_batch;

enum { FIG_MAX_METRICS = 64 };

typedef struct fig_metric {
  const char* name; /* "d.loss", ... */
  float value;
} fig_metric;

/* What a step computed: each loss is that before the update which it drives. */
typedef struct fig_metrics {
  uint64_t step;    /* steps done, this one included */
  uint32_t skipped; /* sub-steps that changed nothing, because a gradient was NaN or infinite */
  uint32_t count;
  fig_metric values[FIG_MAX_METRICS];
} fig_metrics;

/* Runs one train step of the model's schedule: the discriminator's and the generator's, or whatever the objective has.
 * Latents are drawn from the session's seed and the step. The session must have been created for training. */
FIG_API fig_status fig_train_step(fig_session* session, const fig_batch* batch, fig_metrics* metrics);

/* Steps done, those before a checkpoint included. */
FIG_API uint64_t fig_session_steps(const fig_session* session);

/* What a session draws by itself in a train step, unless the batch has it among its latents. */
typedef struct fig_drawn_info {
  const char* program;
  const char* input;
  size_t size; /* values a sample */
} fig_drawn_info;

/* FIG_NOT_FOUND past the last. All other inputs of the train programs come with the batch. */
FIG_API fig_status fig_model_drawn(const fig_model* model, uint32_t index, fig_drawn_info* info);

/* The names of the scalars that can be read and set between steps ("d.learning_rate"), FIG_NOT_FOUND past the last.
 */
FIG_API fig_status fig_model_scalar(const fig_model* model, uint32_t index, const char** name);

FIG_API fig_status fig_session_get_scalar(fig_session* session, const char* name, double* value);
/* FIG_INVALID_ARGUMENT if the value is not finite. */
FIG_API fig_status fig_session_set_scalar(fig_session* session, const char* name, double value);

/* fig_model_scaling's of a training session, whose checkpoints and exported models keep it; FIG_NOT_FOUND as there, and
 * of a session that does not train. Text that is too long is cut between two characters. FIG_INVALID_ARGUMENT if a
 * number is not finite. */
FIG_API fig_status fig_session_get_scaling(const fig_session* session, const char* input, uint32_t channel,
                                           fig_scaling* scaling);
FIG_API fig_status fig_session_set_scaling(fig_session* session, const char* input, uint32_t channel,
                                           const fig_scaling* scaling);

/* A parameter under the exporter's name, in the exporter's layout. */
typedef struct fig_parameter_info {
  const char* name;
  fig_shape shape;
  bool trained; /* by gradients; else it is a statistic or fixed */
  bool derived; /* the optimizer's state of a parameter (NAME.adam_m, ...), its average (NAME.ema), or the sum of its
                   gradients where a step runs in micro-batches (NAME.gradient) */
} fig_parameter_info;

/* FIG_NOT_FOUND past the last. */
FIG_API fig_status fig_model_parameter(const fig_model* model, uint32_t index, fig_parameter_info* info);

/* Reads or changes a training session's parameter: `elements` values in the exporter's layout. FIG_NOT_FOUND if the
 * session does not hold it: it is fixed, or a sum of gradients that the session does not need. */
FIG_API fig_status fig_parameter_get(const fig_session* session, const char* name, float* values, size_t elements);
FIG_API fig_status fig_parameter_set(fig_session* session, const char* name, const float* values, size_t elements);

/* Saves what a later session needs to resume, bit-identical to an uninterrupted run: parameters, the optimizer's state,
 * statistics, averages, the step and the seed, and `size` bytes of the caller's own (NULL with 0). Atomic: `folder`,
 * which is created if its parent exists, holds two files of which the older is replaced, so that a crash, a power cut
 * or a full disk at any moment leaves the previous checkpoint or the new one. FIG_IO_ERROR likewise: the new one if
 * only its name could not be put on the disk. */
FIG_API fig_status fig_checkpoint_save(const fig_session* session, const char* folder, const void* bytes, size_t size);

/* Loads the newest checkpoint of `folder` that is whole; the session's seed becomes its. The caller's own bytes go to
 * `bytes`, which has room for `capacity`, and their number to `size`; both may be NULL where there are none. The model
 * may be another file, of the same networks, frozen weights, optimizers and loss. FIG_NOT_FOUND: there is none;
 * FIG_BAD_FILE: none is whole; FIG_INVALID_ARGUMENT: it is of another model, or the buffer is too small, and `size` is
 * what it must hold. Then nothing else has changed. */
FIG_API fig_status fig_checkpoint_load(fig_session* session, const char* folder, void* bytes, size_t capacity,
                                       size_t* size);

/* The caller's flash, where there are no files: two slots, parts that are erased as a whole and then programmed from
 * their beginning on, each byte once. The functions, on slot 0 or 1, wait until all is done, and return false if it
 * could not be. `context` is the caller's. */
typedef struct fig_flash {
  size_t struct_size;
  void* context;
  size_t slot_bytes;
  size_t program_bytes; /* programmed at a time, a power of two up to 256: offsets and sizes are multiples; 0: 1 */
  bool (*read)(void* context, uint32_t slot, size_t offset, void* bytes, size_t size);
  bool (*erase)(void* context, uint32_t slot);
  bool (*program)(void* context, uint32_t slot, size_t offset, const void* bytes, size_t size);
} fig_flash;

/* The bytes of a slot that a checkpoint takes, with `size` of the caller's own; flash rounds them up to its
 * `program_bytes`. */
FIG_API fig_status fig_checkpoint_size(const fig_session* session, size_t size, size_t* bytes);

/* The same as fig_checkpoint_save and fig_checkpoint_load, in flash. The older slot is erased and programmed: a power
 * cut at any moment leaves the previous checkpoint or the new one; during the first save, none (FIG_NOT_FOUND or
 * FIG_BAD_FILE). What cannot be read of a slot counts as damaged. What is programmed is read back: FIG_IO_ERROR if the
 * flash does not keep it, or the driver fails; the previous checkpoint is still there. FIG_INVALID_ARGUMENT if a slot
 * is too small. If the driver fails while values are loaded that it could read just before, the session's are
 * undefined. */
FIG_API fig_status fig_checkpoint_save_flash(const fig_session* session, const fig_flash* flash, const void* bytes,
                                             size_t size);
FIG_API fig_status fig_checkpoint_load_flash(fig_session* session, const fig_flash* flash, void* bytes, size_t capacity,
                                             size_t* size);

/* What training has changed of what a program reads, in a small file: of a model that is frozen but for adapters
 * (figment-convert --adapters), the adapters. Of "generate" it holds the averages that generate, if there are any.
 * `program` NULL: the one that generates. It fits every copy of the model, stripped or embedded ones too: all frozen
 * values that the program reads must be the same, which a hash tells, and a CRC what is not whole.
 * Saving replaces `path` at once, when all is written. FIG_NOT_FOUND: no such program; FIG_IO_ERROR leaves what was at
 * `path`; FIG_INVALID_ARGUMENT: the program reads nothing that is trained, or a value has become NaN or infinite;
 * FIG_UNSUPPORTED: it has more than some ten thousand parameters. */
FIG_API fig_status fig_adapter_save(const fig_session* session, const char* program, const char* path);

/* Sets what the file holds, and where that is averages also what they are of; all else, the optimizer's state too,
 * stays. The session must have been created for training. FIG_NOT_FOUND, FIG_IO_ERROR; FIG_BAD_FILE: it is no adapter,
 * or not whole; FIG_INVALID_ARGUMENT: of another model, or of other frozen weights; FIG_UNSUPPORTED: as of
 * fig_adapter_save. Then nothing has changed. */
FIG_API fig_status fig_adapter_load(fig_session* session, const char* path);

/* The same in memory. `size` receives the bytes of the adapter, also where `bytes` is NULL or has room for fewer
 * (`capacity`): then it is FIG_INVALID_ARGUMENT, and nothing is written. */
FIG_API fig_status fig_adapter_get(const fig_session* session, const char* program, void* bytes, size_t capacity,
                                   size_t* size);
FIG_API fig_status fig_adapter_set(fig_session* session, const void* bytes, size_t size);

/* Writes the model's file with the session's parameters and statistics to `path`, whole or not at all: a model for
 * inference, and to train on from (the optimizer starts anew). FIG_IO_ERROR leaves what was at `path`, or the new file
 * if only its name could not be put on the disk. */
FIG_API fig_status fig_session_export(const fig_session* session, const char* path);

/* The int8 form of what a session has trained: a model that generates, for fig_model_open_memory, with the ranges of
 * its values found anew on latents that it draws. Of models converted with --int8 --keep-training; the session is one
 * for training. figment-convert --int8 makes the same bytes of the same weights (fig_session_export,
 * fig_checkpoint_save), on every target.
 *
 * `memory` is aligned to 64 and has fig_requantize_size() bytes, for the model at its beginning and for what is needed
 * meanwhile; `model_bytes` receives the model's size. FIG_NOT_FOUND: the model carries no int8 form;
 * FIG_INVALID_ARGUMENT: the session does not train or was created without its program "int8", the memory is misaligned
 * or has too few bytes, or a value has become NaN or infinite; FIG_UNSUPPORTED: int8 cannot hold the values, or the
 * form is not one that figment-convert writes; FIG_BAD_FILE: the form is corrupt; FIG_OUT_OF_MEMORY: no memory could
 * hold it. Then `memory` is undefined and `model_bytes` unchanged. The session stays as it is. */
FIG_API fig_status fig_requantize_size(fig_session* session, size_t* bytes);
FIG_API fig_status fig_requantize(fig_session* session, void* memory, size_t bytes, size_t* model_bytes);

/* ---- Programs by purpose ------------------------------------------------------------------------------------- */

/* The programs that a model names by their purpose, each with one input. Buffers are checked: their elements must be
 * exactly those of `count` samples. FIG_NOT_FOUND if the model has no such program; fig_run runs any other. */

/* Runs "encode": samples to what it returns first, for a VAE the means of q(latent | sample). `log_variance`, if it is
 * not NULL, receives the second output. */
FIG_API fig_status fig_encode(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                              float* mean, size_t mean_elements, float* log_variance, size_t log_variance_elements);

/* Runs the program that generates on the caller's latents: fig_generate without drawing. */
FIG_API fig_status fig_decode(fig_session* session, size_t count, const float* latents, size_t latent_elements,
                              float* samples, size_t sample_elements);

/* Samples, encoded and decoded again from the means. */
FIG_API fig_status fig_reconstruct(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                                   float* reconstructions, size_t reconstruction_elements);

/* Runs "discriminate": samples to its first output, a score each, in the exporter's terms (logit or probability). */
FIG_API fig_status fig_discriminate(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                                    float* scores, size_t score_elements);

/* ---- Anomalies ----------------------------------------------------------------------------------------------- */

/* How unusual each of `count` samples is; higher is more unusual. Of models that encode, the mean squared difference of
 * a sample and its reconstruction, in the model's values, and `reconstructions` receives those as fig_reconstruct gives
 * them (a session for "encode,generate" suffices). Of others, the negative of what "discriminate" returns;
 * `reconstructions` is NULL then, with 0 elements. A sample whose difference is no number has a score that is none. */
FIG_API fig_status fig_anomaly_scores(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                                      float* reconstructions, size_t reconstruction_elements, float* scores,
                                      size_t score_elements);

/* A threshold by the scores of normal samples: the least of the finite ones that a `share` of these, 0 to 1, does not
 * exceed. Reorders `scores`. FIG_INVALID_ARGUMENT if none is finite. */
FIG_API fig_status fig_anomaly_threshold(float* scores, size_t count, double share, float* threshold);

/* One score above the threshold may be noise: there is an alarm where `needed` of the last `window` scores are above
 * it. The caller's, who fills all but `history`. */
typedef struct fig_anomaly_vote {
  size_t struct_size;
  float threshold;
  uint32_t needed;  /* 1 to window */
  uint32_t window;  /* 1 to 32 */
  uint32_t history; /* of the last scores, the youngest in bit 0: 1 above; 0 at the start */
} fig_anomaly_vote;

/* Counts the next score, and says whether there is an alarm. A score that is no number is above any threshold.
 * FIG_INVALID_ARGUMENT: the threshold is no number, or `needed` and `window` are out of range. */
FIG_API fig_status fig_anomaly_alarm(fig_anomaly_vote* vote, float score, bool* alarm);

#ifdef __cplusplus
}
#endif

#endif
