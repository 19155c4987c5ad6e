// A program that defines fig_use_planner itself is linked without this file, and so without the planner.
#include "plan/link.h"

static const fig_planner kPlanner = {figment::plan::plan_memory};

// Weak for build systems that link all files.
[[gnu::weak]] extern const fig_planner* const fig_use_planner;
const fig_planner* const fig_use_planner = &kPlanner;
