# One compiler, clang 19 with lld, and one Debian 13 sysroot for each target: FIGMENT_TARGET is x86_64, aarch64 or
# armhf. The sysroot is FIGMENT_SYSROOT, or is fetched (cmake/fetch_debian.sh). FIGMENT_RELEASE is for what others install.
set(FIGMENT_TARGET "x86_64" CACHE STRING "x86_64, aarch64 or armhf")
set(FIGMENT_SYSROOT "" CACHE PATH "Debian 13 sysroot; empty: fetch it")
option(FIGMENT_RELEASE "For Debian packages and Python wheels: nothing of this machine in what is linked" OFF)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES FIGMENT_TARGET FIGMENT_SYSROOT FIGMENT_RELEASE)

set(figment_architecture_x86_64 amd64)
set(figment_architecture_aarch64 arm64)
set(figment_architecture_armhf armhf)
set(figment_triple_x86_64 x86_64-linux-gnu)
set(figment_triple_aarch64 aarch64-linux-gnu)
set(figment_triple_armhf arm-linux-gnueabihf)
set(figment_loader_x86_64 usr/lib64/ld-linux-x86-64.so.2)
# The processors that tests are emulated on: those of a Raspberry Pi 4 and 2.
set(figment_emulator_aarch64 qemu-aarch64 -cpu cortex-a72)
set(figment_emulator_armhf qemu-arm -cpu cortex-a7)
if(NOT DEFINED figment_triple_${FIGMENT_TARGET})
  message(FATAL_ERROR "FIGMENT_TARGET is ${FIGMENT_TARGET}: expected x86_64, aarch64 or armhf")
endif()
set(triple ${figment_triple_${FIGMENT_TARGET}})

function(figment_fetch_sysroot kind architecture result)
  execute_process(
    COMMAND ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/fetch_debian.sh ${kind} ${architecture}
    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${result} ${path} PARENT_SCOPE)
endfunction()

if(NOT FIGMENT_SYSROOT)
  figment_fetch_sysroot(sysroot ${figment_architecture_${FIGMENT_TARGET}} fetched)
  set(FIGMENT_SYSROOT ${fetched} CACHE PATH "Debian 13 sysroot; empty: fetch it" FORCE)
endif()

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${FIGMENT_TARGET})
set(CMAKE_SYSROOT ${FIGMENT_SYSROOT})
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET ${triple})
set(CMAKE_CXX_COMPILER_TARGET ${triple})
set(CMAKE_AR llvm-ar-19 CACHE FILEPATH "")
set(CMAKE_RANLIB llvm-ranlib-19 CACHE FILEPATH "")
set(CMAKE_STRIP llvm-strip-19 CACHE FILEPATH "")
set(CMAKE_OBJCOPY llvm-objcopy-19 CACHE FILEPATH "")
set(CMAKE_LIBRARY_ARCHITECTURE ${triple})
# By way of lib, a link to usr/lib, the compiler would name the headers by paths that ninja, which shortens them before it
# looks, does not find, and compile everything again every time.
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_INIT "--gcc-install-dir=${FIGMENT_SYSROOT}/usr/lib/gcc/${triple}/14")
endforeach()
set(CMAKE_FIND_ROOT_PATH ${FIGMENT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# Packages may lie elsewhere: CMAKE_PREFIX_PATH.
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)

set(linker_flags "-fuse-ld=lld")
if(FIGMENT_RELEASE)
  # As Debian's packages are linked, and where its libraries lie.
  string(APPEND linker_flags " -Wl,-z,relro -Wl,-z,now")
  set(CMAKE_INSTALL_LIBDIR lib/${triple} CACHE PATH "")
  figment_fetch_sysroot(manylinux ${figment_architecture_${FIGMENT_TARGET}} fetched)
  set(FIGMENT_MANYLINUX_SYSROOT ${fetched} CACHE PATH "" FORCE)
elseif(FIGMENT_TARGET STREQUAL x86_64)
  # Run with the sysroot's loader and libraries. DT_RPATH, not RUNPATH: only the former also holds for the libraries'
  # own dependencies, and a host's older libcpuinfo would cost most of the speed.
  string(APPEND linker_flags
    " -Wl,--dynamic-linker=${FIGMENT_SYSROOT}/${figment_loader_x86_64} -Wl,--disable-new-dtags")
  set(CMAKE_BUILD_RPATH "${FIGMENT_SYSROOT}/usr/lib/${triple}")
  # What is installed starts by the loader that every system has in this place.
  set(FIGMENT_INSTALLED_LOADER /lib64/ld-linux-x86-64.so.2)
endif()
if(NOT FIGMENT_TARGET STREQUAL x86_64)
  set(CMAKE_CROSSCOMPILING TRUE)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${figment_emulator_${FIGMENT_TARGET}} -L ${FIGMENT_SYSROOT})
endif()
set(CMAKE_EXE_LINKER_FLAGS_INIT "${linker_flags}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${linker_flags}")

# The generators of code are of the headers' versions: they come from the x86-64 sysroot and run on the build machine.
if(NOT FIGMENT_PROTOC)
  figment_fetch_sysroot(sysroot amd64 host_sysroot)
  set(FIGMENT_GENERATOR_LAUNCHER ${host_sysroot}/${figment_loader_x86_64} --library-path
    ${host_sysroot}/usr/lib/x86_64-linux-gnu CACHE STRING "what starts flatc and protoc")
  set(FIGMENT_FLATC ${host_sysroot}/usr/bin/flatc CACHE FILEPATH "" FORCE)
  set(FIGMENT_PROTOC ${host_sysroot}/usr/bin/protoc CACHE FILEPATH "")
endif()
