#include "pipeline/nn/rope.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "tests/support/close_to.h"

namespace lv {
namespace {

RopeSettings settings_of(const char* config, int64_t head_size) {
  return rope_settings(parse_json(config, "config"), head_size);
}

double frequency(const RopeFrequencies& f, int64_t j) { return f.inverse[j].item<double>(); }

void check_heads_among_others(at::Device device) {
  RopeSettings settings;
  settings.rotary_size = 8;
  const at::Tensor positions = at::arange(100, 105, at::kLong).to(device);
  const RopeTable table = Rope(settings, {}, device).table(positions, 0);
  const at::Tensor x = lcg_tensor(8, {5, 4, 8}).to(device);
  at::Tensor dense = x.slice(1, 1, 3).contiguous();
  at::Tensor among = x.slice(1, 1, 3);
  rotate_(dense, table);
  rotate_(among, table);
  CHECK(at::equal(among, dense));
}

}  // namespace

TEST_CASE("rope llama3 bends the middle frequencies") {
  const RopeFrequencies f = rope_frequencies(
      settings_of(R"({"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 32,
                      "low_freq_factor": 1, "high_freq_factor": 4,
                      "original_max_position_embeddings": 8192}})",
                  64),
      1);
  CHECK(f.attention_factor == 1);
  CHECK(frequency(f, 14) == Approx(3.21145e-3).epsilon(1e-5));
  CHECK(frequency(f, 15) == Approx(1.29055e-3).epsilon(1e-5));
  CHECK(frequency(f, 16) == Approx(4.29557e-4).epsilon(1e-5));
  CHECK(frequency(f, 17) == Approx(9.70829e-5).epsilon(1e-5));
  CHECK(frequency(f, 18) == Approx(1.94616e-5).epsilon(1e-5));
  CHECK(frequency(f, 31) == Approx(9.41831e-8).epsilon(1e-5));
}

TEST_CASE("rope yarn blends between two dimensions and scales attention") {
  const RopeFrequencies f = rope_frequencies(
      settings_of(R"({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4,
                      "original_max_position_embeddings": 32768}})",
                  128),
      1);
  CHECK(f.attention_factor == Approx(1.138629).epsilon(1e-6));
  CHECK(frequency(f, 24) == Approx(5.37532e-3).epsilon(1e-5));
  CHECK(frequency(f, 30) == Approx(1.06436e-3).epsilon(1e-5));
  CHECK(frequency(f, 39) == Approx(6.49039e-5).epsilon(1e-5));
  CHECK(frequency(f, 63) == Approx(3.10234e-7).epsilon(1e-5));
}

TEST_CASE("rope dynamic raises the base with the length") {
  const RopeSettings settings = settings_of(
      R"({"rope_theta": 10000.0, "max_position_embeddings": 4096,
          "rope_scaling": {"type": "dynamic", "factor": 2.0}})",
      128);
  REQUIRE(depends_on_length(settings));
  const double theta = std::pow(frequency(rope_frequencies(settings, 8192), 1), -64.0);
  CHECK(theta == Approx(30527.737).epsilon(1e-6));
  CHECK(frequency(rope_frequencies(settings, 100), 1) == Approx(std::pow(1e4, -1 / 64.0)));
}

TEST_CASE("rope giraffe truncates what does not turn within the trained length") {
  const RopeSettings settings = settings_of(
      R"({"rope_theta": 10000.0, "rope_scaling": {"rope_type": "giraffe", "trained_length": 2048}})",
      128);
  const at::Tensor f = rope_frequencies(settings, 1).inverse;
  const at::Tensor constant = (f - 1.917476e-4).abs() < 1e-9;
  CHECK((f == 0).sum().item<int64_t>() == 9);
  CHECK(constant.sum().item<int64_t>() == 14);
  const at::Tensor untouched = rope_frequencies(settings_of("{}", 128), 1).inverse;
  CHECK((f == untouched).sum().item<int64_t>() == 41);
}

TEST_CASE("rope longrope divides by the factors of the planned length") {
  const RopeSettings settings = settings_of(
      R"({"max_position_embeddings": 64, "original_max_position_embeddings": 16,
          "rope_scaling": {"type": "longrope", "short_factor": [1, 2], "long_factor": [4, 8]}})",
      4);
  CHECK(frequency(rope_frequencies(settings, 16), 1) == Approx(0.01 / 2));
  CHECK(frequency(rope_frequencies(settings, 17), 0) == Approx(1.0 / 4));
  CHECK(frequency(rope_frequencies(settings, 17), 1) == Approx(0.01 / 8));
  CHECK(rope_frequencies(settings, 1).attention_factor ==
        Approx(std::sqrt(1 + std::log(4.0) / std::log(16.0))));
}

TEST_CASE("rope policies of factor one equal the default") {
  const char* kind = GENERATE("linear", "ntk", "dynamic", "giraffe", "yarn", "llama3");
  CAPTURE(kind);
  RopeSettings settings = settings_of("{}", 64);
  const at::Tensor expected = rope_frequencies(settings, 1).inverse;
  settings.kind = kind;
  settings.keys = parse_json(R"({"factor": 1.0, "original_max_position_embeddings": 2048,
                                 "low_freq_factor": 1.0, "high_freq_factor": 4.0})",
                             "keys");
  const RopeFrequencies got = rope_frequencies(settings, 1000);
  CHECK(got.attention_factor == 1);
  CHECK_THAT(got.inverse, CloseTo(expected, 1e-6, 0));
}

TEST_CASE("rope frequencies can be those of an implementation that rounds them") {
  RopeSettings settings = settings_of(R"({"max_position_embeddings": 64})", 8);
  const at::Tensor exact = rope_frequencies(settings, 1).inverse;  // 1, 0.1, 0.01, 0.001
  settings.keys.set("rounded_to", "bfloat16");
  CHECK(frequency(rope_frequencies(settings, 1), 1) == 0.10009765625);
  settings.kind = "dynamic";
  settings.keys.set("factor", 1.0);
  CHECK(frequency(rope_frequencies(settings, 64), 1) == 0.10009765625);
  CHECK_THAT(rope_frequencies(settings, 65).inverse[0], CloseTo(exact[0]));
  CHECK(frequency(rope_frequencies(settings, 65), 1) != 0.10009765625);
  settings.kind = "longrope";  // has two sets, and keeps the one for short texts
  settings.keys = parse_json(R"({"short_factor": [1, 1, 1, 1], "long_factor": [1, 1, 1, 1],
                                 "original_max_position_embeddings": 32,
                                 "rounded_to": "bfloat16"})",
                             "keys");
  CHECK(frequency(rope_frequencies(settings, 32), 1) == 0.10009765625);
  CHECK_THAT(rope_frequencies(settings, 33).inverse[0], CloseTo(exact[0]));
  CHECK(frequency(rope_frequencies(settings, 33), 1) != 0.10009765625);
  settings.keys.set("rounded_to", "int8");
  CHECK_THROWS_WITH(rope_frequencies(settings, 1), Catch::Contains("rounded_to"));
}

TEST_CASE("rope divisors stand for the llama3 policy") {
  const RopeSettings bent = settings_of(
      R"({"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8,
          "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}})",
      32);
  const RopeSettings straight = settings_of(R"({"rope_theta": 500000.0})", 32);
  const at::Tensor divisors =
      rope_frequencies(straight, 1).inverse / rope_frequencies(bent, 1).inverse;
  const at::Tensor positions = at::arange(0, 300, at::kLong);
  const RopeTable expected = Rope(bent).table(positions, 300);
  const RopeTable got = Rope(straight, divisors).table(positions, 300);
  CHECK_THAT(got.cos, CloseTo(expected.cos, 0, 1e-6));
  CHECK_THAT(got.sin, CloseTo(expected.sin, 0, 1e-6));
}

TEST_CASE("rope products depend on the distance only") {
  const Rope rope(settings_of("{}", 16));
  const at::Tensor q = lcg_tensor(1, {1, 1, 16});
  const at::Tensor k = lcg_tensor(2, {1, 1, 16});
  const auto product = [&](int64_t m, int64_t n) {
    at::Tensor a = q.clone();
    at::Tensor b = k.clone();
    rotate_(a, rope.table(at::full({1}, m, at::kLong), 1));
    rotate_(b, rope.table(at::full({1}, n, at::kLong), 1));
    return (a * b).sum().item<double>();
  };
  const double near = product(7, 3);
  CHECK(product(104, 100) == Approx(near).margin(1e-5));
  // 2^24 + 1 is no float32: only float64 angles tell it from its neighbour.
  CHECK(product(16777221, 16777217) == Approx(near).margin(1e-5));
}

TEST_CASE("rope rotates half-split pairs and leaves the rest of a head alone") {
  RopeSettings settings = settings_of(R"({"partial_rotary_factor": 0.5})", 8);
  REQUIRE(settings.rotary_size == 4);
  const Rope rope(settings);
  const RopeTable table = rope.table(at::arange(0, 3, at::kLong), 3);
  const at::Tensor x = lcg_tensor(3, {3, 2, 8});
  at::Tensor got = x.clone();
  rotate_(got, table);
  const double angle = 2 * 0.01;
  const double a = x[2][1][1].item<double>();
  const double b = x[2][1][3].item<double>();
  CHECK(got[2][1][1].item<double>() == Approx(a * std::cos(angle) - b * std::sin(angle)));
  CHECK(got[2][1][3].item<double>() == Approx(b * std::cos(angle) + a * std::sin(angle)));
  CHECK(at::equal(got[0], x[0]));
  CHECK(at::equal(got.slice(2, 4), x.slice(2, 4)));

  at::Tensor doubles = x.to(at::kDouble);  // the path for other types and devices
  rotate_(doubles, table);
  CHECK_THAT(doubles, CloseTo(got, 1e-5, 1e-6));
}

TEST_CASE("rope rotates on a GPU", "[.gpu]") {
  const auto [dtype, error] =
      GENERATE(table<at::ScalarType, double>({{at::kFloat, 1e-6}, {at::kBFloat16, 1e-2}}));
  RopeSettings settings;
  settings.rotary_size = 48;
  const RopeTable table = Rope(settings).table(at::arange(100, 137, at::kLong), 0);
  at::Tensor expected = lcg_tensor(7, {37, 3, 64}).to(dtype);
  at::Tensor got = expected.to(at::kCUDA);
  rotate_(expected, table);
  rotate_(got, {table.cos.to(at::kCUDA), table.sin.to(at::kCUDA)});
  CHECK_THAT(got.cpu().to(at::kFloat), CloseTo(expected.to(at::kFloat), error, error));
}

TEST_CASE("rope rotates heads among others") { check_heads_among_others(at::kCPU); }
TEST_CASE("rope rotates heads among others on a GPU", "[.gpu]") {
  check_heads_among_others(at::kCUDA);
}

TEST_CASE("rope refuses settings that make no sense") {
  const auto refuses = [](const char* config, const char* named) {
    CHECK_THROWS_WITH(rope_frequencies(settings_of(config, 8), 1), Catch::Contains(named));
  };
  refuses(R"({"rope_scaling": {"rope_type": "spiral"}})", "spiral");
  refuses(R"({"rope_scaling": {"rope_type": "linear"}})", "factor");
  refuses(R"({"rope_scaling": {"rope_type": "linear", "factor": 0}})", "factor");
  refuses(R"({"rope_scaling": 3})", "rope_scaling");
  refuses(R"({"rope_theta": -1.0})", "rope_theta");
  refuses(R"({"partial_rotary_factor": 0.1})", "rotated dimensions");
  refuses(R"({"rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1],
              "original_max_position_embeddings": 16}})",
          "short_factor");
  refuses(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
              "high_freq_factor": 4, "original_max_position_embeddings": 64}})",
          "high_freq_factor");
}

TEST_CASE("rope in sections turns each pair by its own axis") {
  const char* const config = GENERATE(
      R"({"rope_theta": 100.0, "rope_scaling": {"type": "mrope", "mrope_section": [1, 2, 1]}})",
      R"({"rope_parameters": {"rope_type": "default", "rope_theta": 100.0,
                              "mrope_section": [1, 2, 1]}})");
  const Rope rope(settings_of(config, 8));
  CHECK(rope.axes() == 3);
  const Rope plain(settings_of(R"({"rope_theta": 100.0})", 8));
  const auto angle_of = [&](int64_t position) {
    return plain.table(at::tensor({position}, at::kLong), 0).cos[0];
  };
  const at::Tensor got = rope.table(at::tensor({7, 3, 5}, at::kLong).view({1, 3}), 0).cos[0];
  CHECK(at::equal(got[0], angle_of(7)[0]));
  CHECK(at::equal(got.slice(0, 1, 3), angle_of(3).slice(0, 1, 3)));
  CHECK(at::equal(got[3], angle_of(5)[3]));
  CHECK(at::equal(rope.table(at::tensor({4}, at::kLong), 0).cos[0], angle_of(4)));
  CHECK_THROWS_WITH(plain.table(at::zeros({1, 3}, at::kLong), 0), Catch::Contains("positions"));
}

TEST_CASE("rope refuses sections that do not fit") {
  const auto settings = [](const std::string& keys) {
    return settings_of((R"({"rope_scaling": {"type": "mrope", )" + keys + "}}").c_str(), 8);
  };
  CHECK_THROWS_WITH(settings(R"("mrope_section": [1, 1, 1])"), Catch::Contains("add up to 4"));
  CHECK_THROWS_WITH(settings(R"("mrope_section": [2, 2])"), Catch::Contains("three numbers"));
  CHECK_THROWS_WITH(settings(R"("mrope_section": [-1, 2, 3])"), Catch::Contains("got -1"));
  CHECK_THROWS_WITH(settings(R"("mrope_interleaved": true, "mrope_section": [1, 2, 1])"),
                    Catch::Contains("mrope_interleaved"));
}

}  // namespace lv
