/* The kernels that a program is linked with.
 *
 * A program that uses few ops, such as firmware, defines the table itself, and the linker leaves out the rest:
 *
 *   #include "figment/ops.h"
 *   const fig_op* const fig_ops[] = {&fig_op_fully_connected, &fig_op_lookup, &fig_op_dequantize, NULL};
 *
 * Link the static library with -Wl,--gc-sections. A program that does not define fig_ops gets the library's, of all ops
 * and of the fastest kernels. A session whose model has an op that the table lacks is refused (FIG_UNSUPPORTED).
 */
#ifndef FIGMENT_OPS_H
#define FIGMENT_OPS_H

#ifdef __cplusplus
extern "C" {
#endif

/* A way to run an op. */
typedef struct fig_op fig_op;

/* The table: NULL stands behind the last. Where several rows have one op, the first that can run it does. */
extern const fig_op* const fig_ops[];

/* Every op in plain C++: fig_op_conv2d, fig_op_tanh, ...; ops.def lists them by the names that `figment inspect` shows.
 */
#define FIGMENT_OP(number, Kind, name, ...) extern const fig_op fig_op_##name;
#include "figment/ops.def"
#undef FIGMENT_OP

/* The memory planner. A program that defines fig_use_planner as NULL is linked without it: its sessions take the plans
 * that their models' files carry (figment-convert --plan), and others are refused. */
typedef struct fig_planner fig_planner;
extern const fig_planner* const fig_use_planner;

/* What training needs beside its ops. A program that defines fig_use_training as NULL is linked without it, and takes
 * no files that hold what training reads (figment-convert --strip leaves that out). */
typedef struct fig_training fig_training;
extern const fig_training* const fig_use_training;

#ifdef __cplusplus
}
#endif

#endif
