/* What is compiled on Debian 13 calls in its C library (2.38 and newer), by functions that older ones have: those of C23 read
 * binary numbers ("0b1") besides. */
#include <stdarg.h>

long older_strtol(const char*, char**, int) __asm__("strtol");
unsigned long older_strtoul(const char*, char**, int) __asm__("strtoul");
long long older_strtoll(const char*, char**, int) __asm__("strtoll");
unsigned long long older_strtoull(const char*, char**, int) __asm__("strtoull");
int older_vsscanf(const char*, const char*, va_list) __asm__("vsscanf");

long __isoc23_strtol(const char* text, char** end, int base) { return older_strtol(text, end, base); }
unsigned long __isoc23_strtoul(const char* text, char** end, int base) { return older_strtoul(text, end, base); }
long long __isoc23_strtoll(const char* text, char** end, int base) { return older_strtoll(text, end, base); }
unsigned long long __isoc23_strtoull(const char* text, char** end, int base) { return older_strtoull(text, end, base); }
int __isoc23_sscanf(const char* text, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int result = older_vsscanf(text, format, arguments);
  va_end(arguments);
  return result;
}
