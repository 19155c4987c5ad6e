/* What the device sees: pictures that its model has never seen. */
#ifndef BOOTS_H
#define BOOTS_H

enum { BOOTS = 64, SIDE = 28, PIXELS = SIDE * SIDE };

extern const unsigned char boots[BOOTS][PIXELS];

#endif
