// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs: how far they are, and their end before its time.
#include <boost/json/parse.hpp>

#include "station/jobs/errors.hpp"
#include "station/jobs/job_queue.hpp"
#include "station/methods/call.hpp"

namespace imprint::station::methods {
namespace {

constexpr std::int64_t kMostJobs = INT64_MAX;

core::Result<jobs::JobQueue*> queue_of(const Call& call) {
  if (call.station().jobs == nullptr) return jobs::fail("job.stopping");
  return call.station().jobs;
}

core::Result<json::value> show(Call& call) {
  const std::int64_t number = call.params().number("job", 1, kMostJobs);
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_TRY(const jobs::JobQueue* const queue, queue_of(call));
  IMPRINT_TRY(const jobs::Job job, queue->find(number));
  json::object out{{"job", job.id},
                   {"kind", db::to_string(job.kind)},
                   {"title", job.title},
                   {"state", to_string(job.state)},
                   {"done", job.progress.done},
                   {"due", job.progress.due},
                   {"text", job.progress.text},
                   {"result", nullptr},
                   {"error", nullptr}};
  if (job.result) out["result"] = json::parse(job.result->json);
  if (job.error)
    out["error"] =
        json::object{{"id", job.error->id()}, {"message", job.error->message()}, {"remedy", job.error->row().remedy}};
  return out;
}

core::Result<json::value> cancel(Call& call) {
  const std::int64_t number = call.params().number("job", 1, kMostJobs);
  IMPRINT_CHECK(call.params().finish());
  IMPRINT_CHECK(call.require(people::Action::cancel, {}));
  IMPRINT_TRY(jobs::JobQueue* const queue, queue_of(call));
  IMPRINT_TRY(const jobs::Job job, queue->find(number));
  if (job.by.operator_id != call.actor().operator_id) IMPRINT_CHECK(call.require(people::Action::flash_once, {}));
  call.about(std::to_string(number));
  IMPRINT_CHECK(queue->cancel(number, call.actor()));
  return true;
}

constexpr NamedHandler kHandlers[] = {{"jobs.show", show}, {"jobs.cancel", cancel}};

}  // namespace

Handler job_handler(std::string_view method) { return find_handler(kHandlers, method); }

}  // namespace imprint::station::methods
