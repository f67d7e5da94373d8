// SPDX-License-Identifier: GPL-3.0-or-later
// The image into the station's store, a job for its slots, and how far they are until it has ended.
#include "station/cli/flash_station.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>

#include "devices/protocol/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/secret.hpp"
#include "station/api/errors.hpp"
#include "station/cli/flash_report.hpp"
#include "station/cli/secret_prompt.hpp"
#include "station/cli/slot_lines.hpp"
#include "station/cli/station_client.hpp"
#include "station/cli/stop_on_signal.hpp"
#include "station/error_table.hpp"
#include "station/errors.hpp"

namespace imprint::station::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kLongestAdmission = std::chrono::hours(4);
constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::minutes kTouch{1};
constexpr unsigned kLooksWithoutEvents = 10;  // then the job is asked for: its event may have been missed

// An error that was told already, by its exit status.
struct Told {
  ExitStatus status;
};
using Said = std::variant<json::object, Told>;

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::uint64_t number_at(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  boost::system::error_code error;
  return value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
}

SlotPhase phase_of(std::string_view text) {
  constexpr std::array kPhases{SlotPhase::empty, SlotPhase::identify,  SlotPhase::claim,   SlotPhase::admit,
                               SlotPhase::write, SlotPhase::read_back, SlotPhase::inspect, SlotPhase::finish,
                               SlotPhase::done,  SlotPhase::latched};
  const auto* const found = std::ranges::find(kPhases, text, [](SlotPhase phase) { return to_string(phase); });
  return found == kPhases.end() ? SlotPhase::empty : *found;
}

template <typename Value, std::size_t kCount>
std::optional<Value> find_word(const std::array<Value, kCount>& all, std::string_view text) {
  const auto* const found = std::ranges::find(all, text, [](Value value) { return db::to_string(value); });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

// The event `slot` as the value that it was made of.
SlotStatus status_of(const json::object& data) {
  using enum db::AttemptVerdict;
  SlotStatus status;
  status.slot = core::printable(text_at(data, "slot"));
  status.phase = phase_of(text_at(data, "phase"));
  const json::value* training = data.if_contains("training");
  status.training = training != nullptr && *training == true;
  status.attempt = static_cast<unsigned>(number_at(data, "attempt_here"));
  status.serial = core::printable(text_at(data, "serial"));
  status.done = number_at(data, "bytes_done");
  status.due = number_at(data, "bytes_due");
  status.rate = static_cast<double>(number_at(data, "bytes_per_second"));
  if (const json::value* left = data.if_contains("seconds_left"); left != nullptr && left->is_number())
    status.left = std::chrono::seconds(number_at(data, "seconds_left"));
  status.verdict = find_word(std::array{passed, incomplete, failed, refused, aborted}, text_at(data, "verdict"));
  status.proof =
      find_word(std::array{db::ProofLevel::device_confirmed, db::ProofLevel::read_back, db::ProofLevel::inspected},
                text_at(data, "proof"))
          .value_or(db::ProofLevel::none);
  status.error_id = core::printable(text_at(data, "error"));
  status.message = core::printable(text_at(data, "message"));
  return status;
}

// A conversation with the station about one flash.
class StationFlash {
 public:
  StationFlash(const FlashOptions& options, api::Client& client) : options_(options), client_(client) {}

  ExitStatus run() {
    if (auto refused = refuse_own_things()) return *refused;
    const auto done = steps();
    if (!done) return report_error(done.error(), options_.json);
    return *done;
  }

 private:
  core::Result<Said> ask(std::string_view method, const json::object& params,
                         std::chrono::milliseconds wait = api::Client::kUsualWait) {
    IMPRINT_TRY(auto answer, client_.call(method, params, wait));
    if (const auto* error = std::get_if<api::RemoteError>(&answer)) return Told{report_remote(*error, options_.json)};
    auto& value = std::get<json::value>(answer);
    if (value.is_object()) return std::move(value.get_object());
    return json::object();
  }

  // What belongs to a bench of one's own has no meaning beside a station, which has its own.
  std::optional<ExitStatus> refuse_own_things() {
    std::string what = options_.own_things;
    if (what.empty() && options_.capture) what = "--capture";
    if (what.empty()) return std::nullopt;
    return report_error(fail("station.daemon-runs", what + " is for a bench where it does not run")
                            .with("socket", options_.socket.native())
                            .error(),
                        options_.json);
  }

  core::Result<ExitStatus> steps() {
    IMPRINT_TRY(const Said in, sign_in());
    if (const auto* told = std::get_if<Told>(&in)) return told->status;
    auto status = signed_in_steps();
    // Only what was signed in for this.
    if (signed_in_here_) static_cast<void>(client_.call("people.sign_out", {}));
    return status;
  }

  core::Result<ExitStatus> signed_in_steps() {
    IMPRINT_TRY(Said slots, slots_to_flash());
    if (const auto* told = std::get_if<Told>(&slots)) return told->status;
    IMPRINT_TRY(Said image, image_of());
    if (const auto* told = std::get_if<Told>(&image)) return told->status;
    json::object params{{"image", std::get<json::object>(image).at("digest")},
                        {"read_back", options_.read_back},
                        {"reboot", options_.reboot},
                        {"product", options_.product}};
    const json::array names = std::get<json::object>(slots).at("slots").as_array();
    if (!names.empty()) params["slots"] = names;
    if (options_.policy_told) params["policy"] = options_.policy;
    IMPRINT_TRY(const Said listening, ask("events.subscribe", {}));
    if (const auto* told = std::get_if<Told>(&listening)) return told->status;
    IMPRINT_TRY(const Said begun, ask("flash.start", params));
    if (const auto* told = std::get_if<Told>(&begun)) return told->status;
    const auto& started = std::get<json::object>(begun);
    report_ = {{"policy", text_at(started, "policy")}, {"training", started.at("training")}};
    return follow(number_at(started, "job"), started.at("slots").as_array());
  }

  core::Result<Said> sign_in() {
    if (!options_.name && !options_.badge) return Said(json::object());
    json::object params;
    if (options_.badge) params["badge"] = *options_.badge;
    if (options_.name) params["name"] = *options_.name;
    if (options_.pin_file) {
      IMPRINT_TRY(const auto secret, trust::Secret::read_line(*options_.pin_file));
      params["pin"] = secret.c_str();
    } else {
      IMPRINT_TRY(const auto typed, ask_secret("PIN: "));
      if (!typed) return fail("usage.invalid", "there is no terminal to ask for the PIN: name a file that holds it");
      params["pin"] = typed->c_str();
    }
    IMPRINT_TRY(Said said, ask("people.sign_in", params));
    signed_in_here_ = std::holds_alternative<json::object>(said);
    return said;
  }

  // Names of slots; none for all. A disk that was named goes by the slot in which the station has it.
  core::Result<Said> slots_to_flash() {
    json::array names(options_.slots.begin(), options_.slots.end());
    if (options_.devices.empty()) return Said(json::object{{"slots", std::move(names)}});
    if (!options_.serials.empty())
      return fail("usage.invalid", "a station has serials from its devices: --serial is for a bench without one");
    IMPRINT_TRY(Said said, ask("devices.list", {}));
    if (std::holds_alternative<Told>(said)) return said;
    for (const fs::path& device : options_.devices) {
      IMPRINT_TRY(auto slot, slot_of_disk(std::get<json::object>(said), device));
      names.emplace_back(std::move(slot));
    }
    return Said(json::object{{"slots", std::move(names)}});
  }

  static core::Result<std::string> slot_of_disk(const json::object& list, const fs::path& device) {
    std::error_code error;
    const fs::path real = fs::canonical(device, error);
    if (error) return devices::fail("device.not-present").with("device", device.native());
    const json::value* rows = list.if_contains("devices");
    if (rows != nullptr && rows->is_array())
      for (const json::value& row : rows->get_array()) {
        if (!row.is_object()) continue;
        const json::value* disks = row.get_object().if_contains("disks");
        if (disks == nullptr || !disks->is_array()) continue;
        const auto& all = disks->get_array();
        const bool is_it =
            std::ranges::any_of(all, [&](const json::value& one) { return one == json::value(real.native()); });
        if (is_it && !text_at(row.get_object(), "slot").empty()) return text_at(row.get_object(), "slot");
      }
    return fail("station.daemon-runs", "it flashes disks in its slots only, and this one is in none")
        .with("device", device.native());
  }

  // An object with the digest. A file is admitted first, and the store has it from then on.
  core::Result<Said> image_of() {
    std::error_code error;
    if (!fs::exists(options_.image, error)) return Said(json::object{{"digest", options_.image.native()}});
    json::object params{{"file", fs::absolute(options_.image, error).native()}};
    if (options_.policy_told) params["policy"] = options_.policy;
    if (!options_.json) print_line("Into the station's store: " + core::printable(options_.image.native()));
    return ask("images.admit", params, kLongestAdmission);
  }

  void take(const json::object& event, std::uint64_t job) {
    const json::value* value = event.if_contains("data");
    if (value == nullptr || !value->is_object()) return;
    const json::object& data = value->get_object();
    const std::string kind = text_at(event, "kind");
    const auto slot = slots_.find(text_at(data, "slot"));
    if (kind == "slot" && slot != slots_.end()) slot->second = status_of(data);
    if (kind == "attempt" && slot != slots_.end()) results_.push_back(data);
    const std::string state = text_at(data, "state");
    if (kind == "job" && number_at(data, "job") == job && !state.empty() && state != "queued" && state != "running")
      has_ended_ = true;
  }

  void show() {
    if (options_.json) return;
    if (!lines_) lines_.emplace();
    std::vector<SlotStatus> all;
    for (const auto& [name, status] : slots_) all.push_back(status);
    lines_->show(all);
  }

  core::Result<ExitStatus> follow(std::uint64_t job, const json::array& slots) {
    const StopOnSignal signals;
    for (const json::value& slot : slots)
      if (slot.is_string()) slots_[std::string(slot.get_string())].slot = core::printable(slot.get_string());
    bool cancelled = false;
    unsigned quiet = 0;
    auto touched = std::chrono::steady_clock::now();
    while (!has_ended_) {
      IMPRINT_TRY(const auto event, client_.next_event(kRedraw));
      if (event) {
        take(*event, job);
        quiet = 0;
      } else if (++quiet % kLooksWithoutEvents == 0) {
        IMPRINT_TRY(const Said now, ask("jobs.show", {{"job", job}}));
        if (const auto* told = std::get_if<Told>(&now)) return told->status;
        const std::string state = text_at(std::get<json::object>(now), "state");
        has_ended_ = state != "queued" && state != "running";
      }
      show();
      if (std::chrono::steady_clock::now() - touched > kTouch) {
        static_cast<void>(client_.call("people.who", {}));  // somebody is here: the sign-in must not end meanwhile
        touched = std::chrono::steady_clock::now();
      }
      if (!signals.token().stop_requested() || std::exchange(cancelled, true)) continue;
      IMPRINT_TRY(const auto answer, client_.call("jobs.cancel", {{"job", job}}));
      // Refused, it goes on, and whoever wants it stopped has to know.
      const auto* refused = std::get_if<api::RemoteError>(&answer);
      if (refused != nullptr && refused->id != "job.ended") return report_remote(*refused, options_.json);
    }
    return tell_end(job);
  }

  core::Result<ExitStatus> tell_end(std::uint64_t job) {
    IMPRINT_TRY(const Said said, ask("jobs.show", {{"job", job}}));
    if (const auto* told = std::get_if<Told>(&said)) return told->status;
    const auto& ended = std::get<json::object>(said);
    if (const json::value* result = ended.if_contains("result"); result != nullptr && result->is_object())
      return print_flash_report(result->get_object(), options_.json);
    // One that was cancelled: what ended before that is told, too.
    if (!results_.empty() && !options_.json) {
      report_["results"] = json::array(results_.begin(), results_.end());
      static_cast<void>(print_flash_report(report_, false));
    }
    const std::string id = text_at(ended, "error");
    const auto rows = all_error_rows();
    const auto row = std::ranges::find(rows, id, &core::ErrorRow::id);
    if (row == rows.end()) return api::fail("api.answer-invalid");
    return report_remote({id, core::printable(text_at(ended, "detail")), std::string(row->remedy)}, options_.json);
  }

  const FlashOptions& options_;
  api::Client& client_;
  bool signed_in_here_ = false;
  bool has_ended_ = false;
  std::map<std::string, SlotStatus> slots_;
  std::vector<json::object> results_;
  json::object report_;  // of a job that was cancelled
  std::optional<SlotLines> lines_;
};

}  // namespace

std::optional<ExitStatus> flash_through_station(const FlashOptions& options) {
  const auto client = connect_to_station(options.socket);
  if (!client && client.error().id() == "api.not-running") return std::nullopt;
  if (!client) return report_error(client.error(), options.json);
  const auto hello = (*client)->call("station.hello", {});
  if (!hello) return report_error(hello.error(), options.json);
  const auto* station = std::get_if<json::value>(&*hello);
  const bool is_training = station != nullptr && station->is_object() && station->get_object().contains("training") &&
                           station->at("training") == true;
  if (options.training && !is_training) return std::nullopt;
  return StationFlash(options, **client).run();
}

}  // namespace imprint::station::cli
