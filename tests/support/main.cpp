#define CATCH_CONFIG_RUNNER
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <catch2/catch.hpp>

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  at::manual_seed(0);
  at::set_num_threads(2);
  return Catch::Session().run(argc, argv);
}
