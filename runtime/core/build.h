// What a build chooses; one that says nothing has the portable kernels, and errors as numbers.
#pragma once

#ifndef FIGMENT_XNNPACK
#define FIGMENT_XNNPACK 0
#endif
#ifndef FIGMENT_ERROR_TEXTS
#define FIGMENT_ERROR_TEXTS 0
#endif
