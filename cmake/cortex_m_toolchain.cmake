# GCC for bare-metal Cortex-M, as Debian packages it: gcc-arm-none-eabi. FIGMENT_CORE is cortex_m7, ...
set(FIGMENT_CORE "cortex_m7" CACHE STRING "the core to compile for")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FIGMENT_CORE)
set(figment_flags_cortex_m7 "-mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard")
if(NOT DEFINED figment_flags_${FIGMENT_CORE})
  message(FATAL_ERROR "FIGMENT_CORE is ${FIGMENT_CORE}: expected cortex_m7")
endif()

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${FIGMENT_CORE})
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_C_FLAGS_INIT "-mthumb ${figment_flags_${FIGMENT_CORE}}")
set(CMAKE_CXX_FLAGS_INIT
  "-mthumb ${figment_flags_${FIGMENT_CORE}} -fno-threadsafe-statics -fno-use-cxa-atexit")
