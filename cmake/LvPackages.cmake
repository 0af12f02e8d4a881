# Where third-party packages come from. Versions and hashes: cmake/deps.lock.

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_path(LV_CATCH_INCLUDE catch2/catch.hpp REQUIRED)

# LibTorch, as the PyPI wheel lays it out. Its own TorchConfig.cmake asks for CUDA even for CPU programs.
foreach(lib c10 torch_cpu)
  if(NOT EXISTS ${LV_TORCH_ROOT}/lib/lib${lib}.so)
    message(FATAL_ERROR "LibTorch: ${LV_TORCH_ROOT}/lib/lib${lib}.so not found. Run ./longview once, or set LV_TORCH_ROOT.")
  endif()
endforeach()
add_library(lv_torch INTERFACE)
add_library(lv::torch ALIAS lv_torch)
target_include_directories(lv_torch SYSTEM INTERFACE
  ${LV_TORCH_ROOT}/include ${LV_TORCH_ROOT}/include/torch/csrc/api/include)
target_link_directories(lv_torch INTERFACE ${LV_TORCH_ROOT}/lib)
target_link_libraries(lv_torch INTERFACE torch_cpu c10 Threads::Threads)
# libtorch_cpu.so needs libcupti and libcudart, which lie beside it or in the wheels' own folders.
target_link_options(lv_torch INTERFACE -Wl,--as-needed -Wl,--allow-shlib-undefined
  -Wl,-rpath,${LV_TORCH_ROOT}/lib -Wl,--disable-new-dtags)
# The GPU's operators come with a library that nothing else refers to. libstdc++ by its file name: where only the static
# one has its usual name, a program would carry a second copy beside LibTorch's and crash as it ends.
if(EXISTS ${LV_TORCH_ROOT}/lib/libtorch_cuda.so)
  target_link_options(lv_torch INTERFACE -Wl,--push-state,--no-as-needed,-l:libstdc++.so.6,-ltorch_cuda,--pop-state)
endif()
if(LV_CUDA)
  find_package(CUDAToolkit REQUIRED)
  target_include_directories(lv_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(lv_torch INTERFACE torch_cuda c10_cuda)
endif()

if(LV_MEDIA)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(FFMPEG REQUIRED IMPORTED_TARGET libavformat libavcodec libavutil libswscale libswresample)
  pkg_check_modules(TESSERACT REQUIRED IMPORTED_TARGET tesseract)
  pkg_check_modules(POPPLER REQUIRED IMPORTED_TARGET poppler-cpp)
  # OpenCV's own CMake package comes only with all of its modules, which drag in GDAL, VTK and more.
  find_path(LV_OPENCV_INCLUDE opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
  find_library(LV_OPENCV_CORE opencv_core REQUIRED)
  find_library(LV_OPENCV_IMGPROC opencv_imgproc REQUIRED)
  add_library(lv_opencv INTERFACE)
  target_include_directories(lv_opencv SYSTEM INTERFACE ${LV_OPENCV_INCLUDE})
  target_link_libraries(lv_opencv INTERFACE ${LV_OPENCV_IMGPROC} ${LV_OPENCV_CORE})
endif()
if(LV_SERVICES)
  find_package(Protobuf REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
endif()
if(LV_TEXT)
  # By file, as a host without packages has no pkg-config. ICU's data is named for where its libraries are static.
  find_path(LV_PCRE2_INCLUDE pcre2.h REQUIRED)
  find_path(LV_ICU_INCLUDE unicode/normalizer2.h REQUIRED)
  add_library(lv_unicode INTERFACE)
  target_include_directories(lv_unicode SYSTEM INTERFACE ${LV_PCRE2_INCLUDE} ${LV_ICU_INCLUDE})
  foreach(lib pcre2-8 icuuc icudata)
    find_library(LV_${lib} ${lib} REQUIRED)
    target_link_libraries(lv_unicode INTERFACE ${LV_${lib}})
  endforeach()
  # XGrammar has no package with a library for C++. Its sources are compiled without our flags, a few at a time: most
  # of their cost is the headers that they share.
  if(NOT EXISTS ${LV_XGRAMMAR_ROOT}/cpp/grammar_matcher.cc)
    message(FATAL_ERROR "XGrammar: ${LV_XGRAMMAR_ROOT}/cpp not found. Run ./longview once, or set LV_XGRAMMAR_ROOT.")
  endif()
  file(GLOB xgrammar_sources CONFIGURE_DEPENDS ${LV_XGRAMMAR_ROOT}/cpp/*.cc ${LV_XGRAMMAR_ROOT}/cpp/*/*.cc)
  add_library(lv_xgrammar STATIC EXCLUDE_FROM_ALL ${xgrammar_sources})
  set_target_properties(lv_xgrammar PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 7)
  target_include_directories(lv_xgrammar SYSTEM PUBLIC ${LV_XGRAMMAR_ROOT}/include ${LV_XGRAMMAR_ROOT}/3rdparty/dlpack
    PRIVATE ${LV_XGRAMMAR_ROOT}/3rdparty/picojson)
  target_compile_definitions(lv_xgrammar PUBLIC XGRAMMAR_ENABLE_CPPTRACE=0 XGRAMMAR_ENABLE_INTERNAL_CHECK=0)
  target_compile_options(lv_xgrammar PRIVATE -fPIC -w -O2)
  target_link_libraries(lv_xgrammar PUBLIC Threads::Threads)
endif()
