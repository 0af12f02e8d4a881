#include "services/tasks/result.h"

#include <catch2/catch.hpp>

#include "tests/services/tasks/full_result.h"

namespace lv::services {
namespace {

TEST_CASE("a caption's JSON has the fields of a result, rounded to what is meant") {
  const Json json = parse_json(to_json(full_result()).dump(), "result");
  CHECK(json.at("sources").as_array()[0].dump() ==
        R"({"path":"a.mp4","kind":"video","duration_seconds":9.8,"width":640,"height":360})");
  CHECK(json.at("segments").dump() == R"([{"start":0.0,"end":4.2,"text":"A dog."}])");
  CHECK(json.at("screen_text").as_array()[0].at("box").dump() == "[0.1,0.2,0.3,0.25]");
  CHECK(json.at("audio").as_string() == "used");
  CHECK(json.at("compression").as_array()[0].at("tokens_out").as_int() == 1750);
  CHECK(json.at("risk").dump() ==
        R"({"level":"high","object":"red car","view":"front","box":[0.5,0.25,0.75,1.0],)"
        R"("start":2.0,"end":3.5,"reason":"it brakes","advice":"brake now","confidence":0.7})");
  CHECK(json.at("tokens").at("generated").as_int() == 64);
  CHECK(json.at("peak_memory_bytes").as_int() == 1 << 20);
  CHECK(json.at("warnings").dump() == R"(["w"])");
}

TEST_CASE("an answer's JSON has the fields of its evidence that apply") {
  TaskResult result = full_result();
  CHECK(to_json(result).find("evidence") == nullptr);
  result.task = "ask";
  result.sources[0] = {"a.pdf", {MediaKind::kDocument, 0, 612, 792}, 3};
  const Json json = to_json(result);
  CHECK(json.find("segments") == nullptr);
  CHECK(json.at("sources").as_array()[0].dump() ==
        R"({"path":"a.pdf","kind":"document","width":612,"height":792,"pages":3})");
  CHECK(json.at("evidence").as_array()[0].dump() ==
        R"({"source":0,"kind":"time","start":0.4,"end":2.1,"quote":"Hello.","score":0.5})");
  CHECK(json.at("evidence").as_array()[1].dump() ==
        R"({"source":0,"kind":"box","page":3,"box":[0.1,0.2,0.3,0.25],"quote":"42","score":1.0})");
}

TEST_CASE("peak memory is that of this process") { CHECK(peak_memory_bytes() > 1000000); }

TEST_CASE("a transcript's JSON has no fields about pictures") {
  TaskResult result;
  result.task = "transcribe";
  const Json json = to_json(result);
  CHECK(json.find("sampling") == nullptr);
  CHECK(json.find("compression") == nullptr);
  CHECK(json.find("transcript") != nullptr);
}

}  // namespace
}  // namespace lv::services
