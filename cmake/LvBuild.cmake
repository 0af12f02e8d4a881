# lv_module(), lv_test(): how every target of the project is built.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer" CACHE STRING "" FORCE)
set(CMAKE_BUILD_RPATH_USE_ORIGIN OFF)

find_program(LV_CCACHE ccache)
if(LV_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_MAXSIZE=5G ${LV_CCACHE})
endif()

# What every target of ours is compiled with.
add_library(lv_options INTERFACE)
target_include_directories(lv_options INTERFACE ${CMAKE_SOURCE_DIR})
# -fPIC and -pthread everywhere: a precompiled header serves only sources with the same flags, and some packages ask
# for -pthread.
target_compile_options(lv_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -fPIC -pthread>)
if(LV_CCACHE)
  target_compile_options(lv_options INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
endif()
if(LV_WERROR)
  # GCC 12 warns of these inside std::string where nothing is wrong (GCC bugs 105329, 105651).
  target_compile_options(lv_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror -Wno-error=array-bounds
    -Wno-error=maybe-uninitialized -Wno-error=restrict -Wno-error=stringop-overflow
    -Wno-error=stringop-overread>)
endif()
if(LV_SANITIZE)
  target_compile_options(lv_options INTERFACE -fsanitize=${LV_SANITIZE} -fno-sanitize-recover=undefined)
  target_link_options(lv_options INTERFACE -fsanitize=${LV_SANITIZE})
endif()

# lv_sources(OUT DIR...): the .cpp files of these folders, looked at again at every build. Where there is CUDA, the .cu
# files too; otherwise no_cuda.cpp stands for those and for cuda_*.cpp.
function(lv_sources out)
  set(all "")
  foreach(dir IN LISTS ARGN)
    file(GLOB found CONFIGURE_DEPENDS ${dir}/*.cpp)
    if(LV_CUDA)
      file(GLOB kernels CONFIGURE_DEPENDS ${dir}/*.cu)
      list(FILTER found EXCLUDE REGEX "/no_cuda\\.cpp$")
      list(APPEND found ${kernels})
    else()
      list(FILTER found EXCLUDE REGEX "/cuda_[a-z_]+\\.cpp$")
    endif()
    list(APPEND all ${found})
  endforeach()
  set(${out} ${all} PARENT_SCOPE)
endfunction()

# lv_module(NAME DIRS folder... [DEPS target...] [PRIVATE_DEPS target...])
# A static library lv::NAME of the .cpp files in DIRS. Headers are rooted at the repository.
function(lv_module name)
  cmake_parse_arguments(M "" "" "DIRS;DEPS;PRIVATE_DEPS" ${ARGN})
  lv_sources(sources ${M_DIRS})
  set(headers "")
  foreach(dir IN LISTS M_DIRS)
    file(GLOB found CONFIGURE_DEPENDS ${dir}/*.h)
    list(APPEND headers ${found})
  endforeach()
  add_library(lv_${name} STATIC ${sources})
  add_library(lv::${name} ALIAS lv_${name})
  target_sources(lv_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${headers})
  set_target_properties(lv_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON LINKER_LANGUAGE CXX)
  target_link_libraries(lv_${name} PUBLIC lv_options ${M_DEPS} PRIVATE ${M_PRIVATE_DEPS})
  target_precompile_headers(lv_${name} REUSE_FROM lv_pch)
endfunction()

# lv_test(NAME DIRS folder... DEPS target...)
# One Catch2 binary NAME_test; CTest entries NAME (fast), NAME.slow and NAME.gpu (by label).
function(lv_test name)
  cmake_parse_arguments(T "" "" "DIRS;DEPS" ${ARGN})
  lv_sources(sources ${T_DIRS})
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE lv_test_support ${T_DEPS})
  target_compile_options(${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)  # a fifth less time to compile
  target_precompile_headers(${name}_test REUSE_FROM lv_test_support)
  # Hidden cases run by their label below. The core preset runs where the shipped models are not.
  set(which "~[.]")
  if(NOT LV_MEDIA)
    string(APPEND which "~[models]")
  endif()
  add_test(NAME ${name} COMMAND ${name}_test -w NoAssertions --order rand ${which})
  foreach(label slow gpu)
    add_test(NAME ${name}.${label} COMMAND ${name}_test -w NoAssertions --order rand "[.${label}]")
    set_tests_properties(${name}.${label} PROPERTIES LABELS ${label})
  endforeach()
  # Waiting threads that spin starve what they wait for where cores are shared.
  set_tests_properties(${name} ${name}.slow ${name}.gpu PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
