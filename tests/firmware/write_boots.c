/* Writes the samples of firmware_examples/cortex_m_fine_tune as an IDX file. Argument: its path. */
#include <stdio.h>

#include "boots.h"

int main(int argc, char** argv) {
  static const unsigned char header[] = {0, 0, 8, 3, 0, 0, 0, BOOTS, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
  if (argc != 2) return 2;
  FILE* const file = fopen(argv[1], "wb");
  if (file == NULL) return 1;
  const int written = fwrite(header, sizeof header, 1, file) == 1 && fwrite(boots, sizeof boots, 1, file) == 1;
  return fclose(file) == 0 && written ? 0 : 1;
}
