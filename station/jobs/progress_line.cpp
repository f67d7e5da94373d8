// SPDX-License-Identifier: GPL-3.0-or-later
// Strict on purpose: the one who writes is the same program, so a line that it would not write means that it is not
// itself any more.
#include "station/jobs/progress_line.hpp"

#include <boost/json.hpp>
#include <new>

#include "flash/core/text.hpp"
#include "station/jobs/errors.hpp"

namespace imprint::station::jobs {
namespace {

namespace json = boost::json;

// A parser that cannot take more memory than this, whatever it is fed.
constexpr std::size_t kParserBytes = 16384;

std::optional<std::uint64_t> count_of(const json::value& value) {
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<std::uint64_t>(value.get_int64());
  return std::nullopt;
}

std::optional<JobProgress> progress_of(const json::object& object) {
  JobProgress out;
  std::size_t known = 0;
  if (const json::value* const done = object.if_contains("done")) {
    const auto count = count_of(*done);
    if (!count) return std::nullopt;
    out.done = *count;
    ++known;
  }
  if (const json::value* const due = object.if_contains("due")) {
    const auto count = count_of(*due);
    if (!count) return std::nullopt;
    out.due = *count;
    ++known;
  }
  if (const json::value* const text = object.if_contains("text")) {
    if (!text->is_string() || text->get_string().size() > kMostProgressText) return std::nullopt;
    out.text = core::printable(std::string_view(text->get_string()));
    ++known;
  }
  if (known == 0 || known != object.size() || (out.due != 0 && out.done > out.due)) return std::nullopt;
  return out;
}

}  // namespace

core::Result<JobProgress> parse_progress_line(std::string_view line) {
  if (line.size() > kMostProgressLine) return fail("job.progress-malformed", "the line is too long");
  unsigned char memory[kParserBytes];
  unsigned char scratch[kParserBytes];
  try {
    json::static_resource resource(memory);
    json::parse_options options;
    options.max_depth = 2;
    json::parser parser({}, options, scratch);
    parser.reset(&resource);
    json::error_code error;
    if (parser.write(line, error) != line.size() || error) return fail("job.progress-malformed");
    const json::value value = parser.release();
    if (!value.is_object()) return fail("job.progress-malformed");
    auto progress = progress_of(value.get_object());
    if (!progress) return fail("job.progress-malformed");
    return std::move(*progress);
  } catch (const std::bad_alloc&) {
    return fail("job.progress-malformed");
  }
}

std::string progress_line(const JobProgress& progress) {
  std::string text = progress.text.substr(0, kMostProgressText);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80) != 0) text.pop_back();
  return json::serialize(json::object{{"done", progress.done}, {"due", progress.due}, {"text", text}}) + "\n";
}

core::Result<std::optional<JobProgress>> ProgressReader::feed(std::string_view bytes) {
  if (broken_) return fail("job.progress-malformed");
  std::optional<JobProgress> newest;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (rest_.size() + piece.size() > kMostProgressLine) {
      broken_ = true;
      return fail("job.progress-malformed", "the line is too long");
    }
    rest_ += piece;
    if (end == std::string_view::npos) break;
    auto progress = parse_progress_line(rest_);
    rest_.clear();
    bytes.remove_prefix(end + 1);
    if (!progress) {
      broken_ = true;
      return std::unexpected(std::move(progress).error());
    }
    newest = std::move(*progress);
  }
  return newest;
}

}  // namespace imprint::station::jobs
