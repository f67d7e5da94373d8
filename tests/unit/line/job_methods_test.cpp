// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs through the API, with the program as it is shipped: who may, what comes out, which files are refused.
#include <fstream>

#include "db/jobs.hpp"
#include "tests/unit/line/line_fixture.hpp"

using namespace imprint;
using namespace imprint::station;
using namespace imprint::station::test;

namespace {

json::object ended(const TestStation& station, Caller& caller, const json::value& started) {
  Caller::Said said;
  station.wait_until([&] {
    said = caller.call("jobs.show", {{"job", started.at("job")}});
    return said.error.empty() && !said.result.at("ended").is_null();
  });
  return said.result.as_object();
}

}  // namespace

TEST_CASE("an image of the store is inspected in a confined process, and the findings are the job's result") {
  TestStation station;
  Crew crew(station);
  Caller qa = crew.add(station, "qa", "Quinn");
  const auto started =
      qa.call("jobs.start_inspect", {{"what", "recovery"}, {"source", station.digest}, {"profile", "winre"}});
  REQUIRE(started.message.empty());
  const json::object job = ended(station, qa, started.result);
  INFO(json::serialize(job));
  CHECK(job.at("state") == "done");
  CHECK(job.at("result").at("verdict") == "fail");  // there is no recovery in it
  CHECK(job.at("confinement").is_string());
  CHECK(job.at("digest").as_string().size() == 64);
  const auto row = db::Jobs(*station.records).find(job.at("job").as_int64());
  REQUIRE(row);
  CHECK(row->end->result_digest == std::string(job.at("digest").as_string()));
}

TEST_CASE("a result is still there after a restart") {
  TestStation station;
  json::value started;
  {
    Crew crew(station);
    started = crew.engineer
                  .call("jobs.start_inspect", {{"what", "recovery"}, {"source", station.digest}, {"profile", "winre"}})
                  .result;
    ended(station, crew.engineer, started);
  }
  station.restart();
  Caller again(station);
  REQUIRE(again.call("people.sign_in", {{"name", "Ada"}, {"pin", "271828"}}).error.empty());
  CHECK(again.call("jobs.show", {{"job", started.at("job")}}).result.at("result").at("verdict") == "fail");
}

TEST_CASE("an image is made of a disk image that lies in an open folder") {
  TestStation station;
  Crew crew(station);
  std::filesystem::create_directory(station.folder / "open");
  std::ofstream(station.folder / "open/disk.img") << std::string(4U << 20, 'd');
  const auto started = crew.engineer.call("jobs.start_build", {{"what", "create"},
                                                               {"source", (station.folder / "open/disk.img").native()},
                                                               {"platforms", "Contoso.Board.1"},
                                                               {"compress", "xpress"}});
  REQUIRE(started.message.empty());
  const json::object job = ended(station, crew.engineer, started.result);
  INFO(json::serialize(job));
  REQUIRE(job.at("state") == "done");
  const std::filesystem::path file(std::string(job.at("result").at("file").as_string()));
  CHECK(std::filesystem::file_size(file) == job.at("result").at("bytes").to_number<std::uint64_t>());
  CHECK(job.at("result").at("sha256") == job.at("digest"));
  CHECK(engine::VerifiedImage::open(core::FileSource::open(file).value()).has_value());
}

TEST_CASE("what is no image fails its job with the program's last words, and leaves no file") {
  TestStation station;
  Crew crew(station);
  std::filesystem::create_directory(station.folder / "open");
  std::ofstream(station.folder / "open/broken.ffu") << "SignedImage with nothing behind it";
  const auto started = crew.engineer.call(
      "jobs.start_build", {{"what", "convert"}, {"source", (station.folder / "open/broken.ffu").native()}});
  REQUIRE(started.message.empty());
  const json::object job = ended(station, crew.engineer, started.result);
  CHECK(job.at("state") == "failed");
  CHECK(job.at("error") == "job.process-failed");
  CHECK(std::string_view(job.at("detail").as_string()).find("ffu.") != std::string_view::npos);
  CHECK_FALSE(std::filesystem::exists(station.folder / "jobs/1/image.ffu"));
  CHECK_FALSE(std::filesystem::exists(station.folder / "jobs/1.part"));
}

TEST_CASE("files outside of the open folders are refused, also by way of a link") {
  TestStation station;
  Crew crew(station);
  std::filesystem::create_directory(station.folder / "open");
  std::filesystem::create_symlink(station.folder / "training.db", station.folder / "open/innocent.img");
  for (const std::string name : {"training.db", "open/innocent.img", "open/../training.db", "open"}) {
    CAPTURE(name);
    const auto said = crew.engineer.call("jobs.start_inspect",
                                         {{"what", "bcd"}, {"source", station.folder.path().native() + "/" + name}});
    CHECK(said.error == "job.input-not-allowed");
  }
  CHECK(db::Jobs(*station.records).newest(10)->empty());
}

TEST_CASE("QA inspects and does not build, and operators do neither") {
  TestStation station;
  Crew crew(station);
  Caller qa = crew.add(station, "qa", "Quinn");
  Caller worker = crew.add(station, "operator", "Otto");
  const json::object build{{"what", "convert"}, {"source", station.digest}};
  CHECK(qa.call("jobs.start_build", build).error == "people.not-allowed");
  CHECK(worker.call("jobs.start_build", build).error == "people.not-allowed");
  CHECK(worker.call("jobs.start_inspect", {{"what", "bcd"}, {"source", station.digest}}).error == "people.not-allowed");
}

TEST_CASE("one's own job is cancelled by oneself, and anybody's by an engineer only") {
  TestStation station;
  Crew crew(station);
  Caller quinn = crew.add(station, "qa", "Quinn");
  Caller other = crew.add(station, "qa", "Robin");
  const auto wait_for_stop = [](jobs::JobContext& context) -> core::Result<jobs::JobResult> {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait(lock, context.stop(), [] { return false; });
    return core::fail("job.cancelled");
  };
  const auto person = quinn.call("people.who").result.at("person").as_int64();
  std::vector<jobs::JobId> ids;
  for (int i = 0; i < 2; ++i)
    ids.push_back(
        station.jobs
            ->submit({.kind = jobs::JobKind::inspect, .title = "x", .by = {.operator_id = person}}, wait_for_stop)
            .value());
  CHECK(other.call("jobs.cancel", {{"job", ids[0]}}).error == "people.not-allowed");
  CHECK(quinn.call("jobs.cancel", {{"job", ids[0]}}).error.empty());
  CHECK(crew.engineer.call("jobs.cancel", {{"job", ids[1]}}).error.empty());
  CHECK(crew.engineer.call("jobs.cancel", {{"job", 999}}).error == "job.unknown");
}

TEST_CASE("parameters that do not go together are refused before anything is in the records") {
  TestStation station;
  Crew crew(station);
  const json::string digest(station.digest);
  for (const json::object& params :
       {json::object{{"what", "nonsense"}, {"source", digest}}, json::object{{"what", "layout"}, {"source", digest}},
        json::object{{"what", "recovery"}, {"source", digest}},
        json::object{{"what", "bcd"}, {"source", digest}, {"profile", "winre"}}})
    CHECK(crew.engineer.call("jobs.start_inspect", params).error == "api.params-invalid");
  for (const json::object& params : {json::object{{"what", "create"}, {"source", digest}},
                                     json::object{{"what", "create"}, {"source", digest}, {"platforms", "--json"}},
                                     json::object{{"what", "convert"}, {"source", digest}, {"compress", "zip"}}})
    CHECK(crew.engineer.call("jobs.start_build", params).error == "api.params-invalid");
  CHECK(db::Jobs(*station.records).newest(10)->empty());
}
