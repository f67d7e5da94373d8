// SPDX-License-Identifier: GPL-3.0-or-later
// Which arguments the program gets, and what its answer has to look like.
#include "station/jobs/image_jobs.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/jobs/confinement.hpp"
#include "station/jobs/errors.hpp"

namespace imprint::station::jobs {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kImageName = "image.ffu";

// What stays of a job's own folder fills the disk: that is said, and with it why the job failed if it did.
template <class Work>
core::Result<JobResult> in_its_folder(const JobSite& site, JobId job, const Work& work) {
  core::Result<JobResult> result;
  try {
    result = work();
  } catch (...) {
    static_cast<void>(site.folders.finish(job));
    throw;
  }
  const auto removed = site.folders.finish(job);
  if (removed) return result;
  if (result) return std::unexpected(removed.error());
  core::Error error = std::move(result).error();
  error.add_context("not_removed", removed.error().message());
  return std::unexpected(std::move(error));
}

core::Result<ConfinedEnd> run(const JobSite& site, JobContext& context, const fs::path& folder,
                              std::vector<std::string> arguments, std::vector<fs::path> inputs) {
  context.confinement(confinement_text());
  arguments.insert(arguments.begin(), {"--progress-fd", std::to_string(kProgressDescriptor)});
  ConfinedRequest request{.program = site.program,
                          .arguments = std::move(arguments),
                          .inputs = std::move(inputs),
                          .folder = folder,
                          .limits = site.limits};
  return run_confined(request, context.stop(), [&context](const JobProgress& progress) {
    context.progress(progress.done, progress.due, progress.text);
  });
}

core::Failure failed(const ConfinedEnd& end) {
  return fail("job.process-failed").with("status", end.status).with("last_words", end.errors);
}

// Of a process that may be somebody else's by now: one object, not too deep, or nothing.
core::Result<json::object> object_of(const std::string& output) {
  json::parse_options options;
  options.max_depth = 32;
  json::error_code error;
  const json::value value = json::parse(core::trimmed(output), error, {}, options);
  if (error || !value.is_object()) return fail("job.result-malformed");
  return value.get_object();
}

core::Result<JobResult> inspect(const JobSite& site, const InspectJob& job, JobContext& context) {
  IMPRINT_TRY(const fs::path folder, site.folders.begin(context.id()));
  std::vector<std::string> arguments{"inspect", job.what, job.source.native(), "--json"};
  std::vector<fs::path> inputs{job.source};
  const auto add_file = [&](const char* option, const std::optional<fs::path>& file) {
    if (!file) return;
    arguments.insert(arguments.end(), {option, file->native()});
    inputs.push_back(*file);
  };
  add_file("--layout", job.layout);
  add_file("--platform", job.platform);
  if (!job.profile.empty()) arguments.insert(arguments.end(), {"--profile", job.profile});
  IMPRINT_TRY(const ConfinedEnd end, run(site, context, folder, std::move(arguments), std::move(inputs)));
  // 1 is an answer, too: what was inspected is not good.
  if (end.status != 0 && (end.status != 1 || end.output.empty())) return failed(end);
  IMPRINT_TRY(const json::object report, object_of(end.output));
  if (!report.contains("verdict") && !report.contains("objects")) return fail("job.result-malformed");
  JobResult result{.json = json::serialize(report)};
  IMPRINT_CHECK(site.folders.keep_result(context.id(), result.json));
  return result;
}

core::Result<JobResult> build(const JobSite& site, const BuildJob& job, JobContext& context) {
  IMPRINT_TRY(const fs::path folder, site.folders.begin(context.id()));
  std::vector<std::string> arguments{"ffu",    job.what,     job.source.native(), (folder / kImageName).native(),
                                     "--json", "--compress", job.compress};
  for (const std::string& id : job.platform_ids) arguments.insert(arguments.end(), {"--platform", id});
  IMPRINT_TRY(const ConfinedEnd end, run(site, context, folder, std::move(arguments), {job.source}));
  if (end.status != 0) return failed(end);
  IMPRINT_TRY(json::object report, object_of(end.output));
  context.progress(0, 0, "hashing");
  IMPRINT_TRY(const auto output, site.folders.take(context.id(), kImageName, context.stop()));
  const json::object said{{"file", output.file.native()},
                          {"bytes", output.bytes},
                          {"sha256", output.sha256},
                          {"report", std::move(report)}};
  JobResult result{.json = json::serialize(said), .digest = output.sha256};
  IMPRINT_CHECK(site.folders.keep_result(context.id(), result.json));
  return result;
}

bool lies_in(const fs::path& file, const fs::path& folder) {
  const auto [left, unused] = std::ranges::mismatch(folder, file);
  return left == folder.end();
}

}  // namespace

fs::path program_beside_this() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path() / "imprint";
}

core::Result<fs::path> allowed_input(const JobSite& site, const std::string& file) {
  std::error_code error;
  const fs::path path(file);
  // Before it is looked at: whether a file is there is nobody's business who may not read it.
  const auto may = [&](const fs::path& place) {
    return std::ranges::any_of(site.open_folders, [&](const fs::path& folder) {
      std::error_code ignored;
      const fs::path there = fs::weakly_canonical(folder, ignored);
      return !there.empty() && (lies_in(place, there) || lies_in(place, folder.lexically_normal()));
    });
  };
  if (!path.is_absolute() || !may(path.lexically_normal()))
    return fail("job.input-not-allowed").with("file", core::printable(file));
  const fs::path there = fs::canonical(path, error);
  if (error) return core::fail_errno(error.value(), "io.open-failed", file);
  if (!may(there) || !fs::is_regular_file(there, error))
    return fail("job.input-not-allowed").with("file", core::printable(file));
  return there;
}

JobQueue::Body inspect_body(const JobSite& site, InspectJob job) {
  return [&site, job = std::move(job)](JobContext& context) {
    return in_its_folder(site, context.id(), [&] { return inspect(site, job, context); });
  };
}

JobQueue::Body build_body(const JobSite& site, BuildJob job) {
  return [&site, job = std::move(job)](JobContext& context) {
    return in_its_folder(site, context.id(), [&] { return build(site, job, context); });
  };
}

}  // namespace imprint::station::jobs
