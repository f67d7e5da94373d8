// SPDX-License-Identifier: GPL-3.0-or-later
// Progress as a pipe brings it, by somebody who is not trusted.
#include "station/jobs/progress_line.hpp"

#include <catch2/catch.hpp>

using namespace imprint::station::jobs;

TEST_CASE("a line of progress is read as it was written") {
  const std::string line = progress_line({3, 7, "reading \"x\""});
  REQUIRE(line.ends_with('\n'));
  const auto progress = parse_progress_line(std::string_view(line).substr(0, line.size() - 1));
  REQUIRE(progress);
  CHECK(progress->done == 3);
  CHECK(progress->due == 7);
  CHECK(progress->text == "reading \"x\"");
}

TEST_CASE("what the program never writes is refused") {
  const std::string line =
      GENERATE(as<std::string>(), "", "null", "7", "[]", "{}", R"({"done":-1})", R"({"done":1.5})", R"({"done":"1"})",
               R"({"done":2,"due":1})", R"({"done":1,"other":2})", R"({"text":["a"]})", R"({"done":1}{"done":2})",
               "{\"done\":1", R"({"done":18446744073709551615})", "{\"text\":\"\xff\"}", "[[[[[[1]]]]]]");
  const auto progress = parse_progress_line(line);
  REQUIRE_FALSE(progress);
  CHECK(progress.error().id() == "job.progress-malformed");
}

TEST_CASE("a text that is too long is refused, and so is a line") {
  CHECK_FALSE(parse_progress_line("{\"text\":\"" + std::string(kMostProgressText + 1, 'a') + "\"}"));
  CHECK_FALSE(parse_progress_line(std::string(kMostProgressLine + 1, ' ')));
}

TEST_CASE("lines come together out of pieces of any size") {
  ProgressReader reader;
  const std::string text = "{\"done\":1}\n{\"done\":2}\n";
  std::uint64_t last = 0;
  for (const char c : text) {
    const auto progress = reader.feed(std::string_view(&c, 1));
    REQUIRE(progress);
    if (*progress) last = (*progress)->done;
  }
  CHECK(last == 2);
}

TEST_CASE("after the first bad line nothing is believed any more") {
  ProgressReader reader;
  CHECK_FALSE(reader.feed("garbage\n"));
  CHECK_FALSE(reader.feed("{\"done\":1}\n"));
}

TEST_CASE("a line that never ends is refused once it is too long") {
  ProgressReader reader;
  const std::string piece(600, 'a');
  CHECK(reader.feed(piece));
  CHECK_FALSE(reader.feed(piece));
}
