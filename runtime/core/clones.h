// Loops for several instruction sets.
#pragma once

// A function that is compiled for several instruction sets and chosen when the program is loaded. Its arithmetic is one
// IEEE operation at a time, so that all give the same bits. (Sanitizers run before such choices can be made.)
#if defined(__x86_64__) && defined(__linux__) && !defined(FIGMENT_SANITIZED)
#define FIGMENT_CLONES [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define FIGMENT_CLONES
#endif

// Before a loop whose iterations are independent even where an output is an input's memory, which compilers cannot
// know.
#if defined(FIGMENT_SANITIZED)
#define FIGMENT_INDEPENDENT
#elif defined(__clang__)
#define FIGMENT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define FIGMENT_INDEPENDENT _Pragma("GCC ivdep")
#endif
