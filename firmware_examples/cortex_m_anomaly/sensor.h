/* A made-up vibration sensor: an accelerometer on a machine that turns. On a device of your own, an ADC. */
#ifndef SENSOR_H
#define SENSOR_H

#include <stdint.h>

enum { WINDOW = 32 };

typedef enum machine_state {
  HEALTHY,
  BEARING,    /* a damaged bearing: a ringing knock at each pass */
  MISALIGNED, /* the third harmonic of the speed grows */
  LOOSE,      /* half the speed comes in */
  FAULTS = LOOSE
} machine_state;

typedef struct sensor {
  uint32_t random;
  float speed; /* turns a sample */
  float gain;
  float second; /* size of the second harmonic */
} sensor;

/* A window that begins anywhere, in [-1, 1]. */
void read_window(sensor* from, machine_state state, float* window);

#endif
