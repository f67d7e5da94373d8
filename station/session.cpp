// SPDX-License-Identifier: GPL-3.0-or-later
// Slots and their threads.
#include "station/session.hpp"

#include <algorithm>
#include <set>

#include "station/attempt_rows.hpp"
#include "station/errors.hpp"

namespace imprint::station {

// One slot: its thread waits for a device and runs one attempt at a time.
class Session::Slot final : public AttemptObserver {
 public:
  Slot(Session& session, SlotConfig config) : session_(session), config_(std::move(config)) {
    status_.slot = config_.name;
    for (const LatchedSlot& latched : session.config_.latched) {
      if (!owns(latched.port)) continue;
      latched_ = true;
      departed_ = latched.left;
      port_ = latched.port;
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
  }

  [[nodiscard]] const SlotConfig& config() const { return config_; }

  [[nodiscard]] SlotStatus status() const {
    const std::scoped_lock lock(mutex_);
    SlotStatus status = status_;
    // A device that hangs tells nothing: its rate is that of now.
    if (running_ && status.phase != SlotPhase::done) {
      status.rate = meter_.rate(Clock::now());
      status.left = time_left(status.rate);
    }
    return status;
  }

  [[nodiscard]] bool owns(const devices::PortPath& port) const {
    return port == config_.port || std::ranges::find(config_.other_ports, port) != config_.other_ports.end();
  }

  // More ports of the same name, found out later.
  void adopt(const devices::PortPath& port) {
    const std::scoped_lock lock(mutex_);
    config_.other_ports.push_back(port);
  }

  void arrived(const devices::PortPath& port) {
    const std::scoped_lock lock(mutex_);
    // Many devices reboot after their PASS and come back to the slot. It may be that one, or another that was put in
    // quickly: nothing is started, and nothing is called passed, until the slot stayed empty for the time of a reboot.
    // One that has not left at all is only told of once more.
    if (latched_ && (!departed_ || Clock::now() - *departed_ < session_.config_.recipe.reboot_time)) {
      port_ = port;
      came_back_ = true;
      if (status_.phase != SlotPhase::done) status_.phase = SlotPhase::latched;
      tell();
      return;
    }
    if (closed_) return;
    latched_ = false;
    waiting_ = port;
    // While an attempt runs it may be that attempt's device, which comes back in the middle: whether it is somebody new
    // shows at the end, and only somebody new gets a label.
    if (!running_ && session_.config_.rules != nullptr) session_.config_.rules->arrived(config_.name);
    changed_.notify_all();
  }

  void departed(const devices::PortPath& port) {
    const std::scoped_lock lock(mutex_);
    if (waiting_ == port) {
      waiting_.reset();
      if (!running_ && session_.config_.rules != nullptr) session_.config_.rules->left(config_.name);
    }
    // Whoever waits for its label waits for nothing now, and must not take the next one's.
    if (port == port_ && running_ && status_.phase == SlotPhase::claim) attempt_stop_.request_stop();
    if (port != port_) return;  // not the one that the slot works with, or shows
    departed_ = Clock::now();
    came_back_ = false;
    // The result belongs to the device that left; whoever looks at the slot now must not take it for the next one's.
    if (status_.phase == SlotPhase::done || status_.phase == SlotPhase::latched) {
      reset_status(SlotPhase::empty);
      tell();
    }
  }

  enum class Closing : std::uint8_t { goes_on, cancels, gives_up };  // what runs

  void close(Closing how) {
    const std::scoped_lock lock(mutex_);
    if (waiting_ && !running_ && session_.config_.rules != nullptr) session_.config_.rules->left(config_.name);
    waiting_.reset();
    closed_ = true;
    if (how == Closing::goes_on) return;
    attempt_stop_.request_stop();
    if (how == Closing::cancels) return;
    ending_ = true;
    changed_.notify_all();
  }

  [[nodiscard]] bool cancel() {
    const std::scoped_lock lock(mutex_);
    if (running_) attempt_stop_.request_stop();
    return running_;
  }

  [[nodiscard]] std::optional<LatchedSlot> latched() const {
    const std::scoped_lock lock(mutex_);
    if (!latched_) return std::nullopt;
    return LatchedSlot{port_, came_back_ ? std::nullopt : departed_};
  }

  [[nodiscard]] bool is_running() const {
    const std::scoped_lock lock(mutex_);
    return running_;
  }

  // Asks the thread to end; its destructor waits for it. Apart, so that all slots stop at once.
  void stop() { thread_.request_stop(); }

  void on_phase(SlotPhase phase, std::uint64_t due) override {
    const std::scoped_lock lock(mutex_);
    // It left while its name was being written down: the next label is not for it. One that only bounced, and was
    // opened after that, is here.
    if (phase == SlotPhase::claim && departed_ && !session_.context_.bus.is_held(port_)) attempt_stop_.request_stop();
    status_.phase = phase;
    status_.done = 0;
    status_.due = due;
    status_.rate = 0;
    status_.left.reset();
    status_.waited = {};
    meter_.restart(Clock::now());
    tell();
  }

  void on_progress(std::uint64_t done, const engine::Starvation& waited) override {
    const std::scoped_lock lock(mutex_);
    const auto now = Clock::now();
    status_.done = done;
    status_.waited = waits_of(waited);
    meter_.add(done, now);
    status_.rate = meter_.rate(now);
    status_.left = time_left(status_.rate);
    if (now - told_ >= kTellEvery) tell();
  }

  void on_identity(const std::string& serial) override {
    const std::scoped_lock lock(mutex_);
    status_.serial = serial;
    tell();
  }

  void on_plan(std::uint64_t read_back_due) override {
    const std::scoped_lock lock(mutex_);
    read_back_due_ = read_back_due;
  }

  void on_work_done() override {
    // Asked with the lock held, which departures and arrivals wait for: what the bus knows by then is told later.
    const std::scoped_lock lock(mutex_);
    if (!session_.context_.bus.is_held(port_)) return;
    if (waiting_ == port_) waiting_.reset();
    departed_.reset();
  }

  // The slot is not free meanwhile: whoever comes is begun with once the end of this one is in the records.
  bool on_unrecorded(const core::Error& why) override {
    std::unique_lock lock(mutex_);
    if (ending_) return false;
    status_.phase = SlotPhase::record;
    status_.done = status_.due = 0;
    status_.left.reset();
    status_.error_id = why.id();
    status_.message = std::string(why.row().text) + ". " + std::string(why.row().remedy);
    tell();
    changed_.wait_for(lock, kRecordAgain, [this] { return ending_; });
    if (ending_) return false;
    status_.error_id.clear();
    status_.message.clear();
    return true;
  }

  void on_passed() override {
    const std::scoped_lock lock(mutex_);
    latched_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kTellEvery{250};
  static constexpr std::chrono::milliseconds kRecordAgain{500};

  // From the rest of this phase and the read-back behind it, at that rate. Nobody knows it where bytes do not measure
  // the phase.
  [[nodiscard]] std::optional<std::chrono::seconds> time_left(double rate) const {
    if (rate <= 0 || status_.due == 0) return std::nullopt;
    const std::uint64_t later = status_.phase == SlotPhase::write ? read_back_due_ : 0;
    const std::uint64_t rest = status_.due > status_.done ? status_.due - status_.done : 0;
    return std::chrono::ceil<std::chrono::seconds>(
        std::chrono::duration<double>(static_cast<double>(rest + later) / rate));
  }

  void work(const std::stop_token& stop) {
    const std::stop_callback wake(stop, [this] {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
      attempt_stop_.request_stop();
      changed_.notify_all();
    });
    for (;;) {
      std::stop_token attempt_stop;
      devices::PortPath port;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ || stop.stop_requested(); });
        if (stop.stop_requested()) return;
        port_ = *std::exchange(waiting_, std::nullopt);
        port = port_;
        attempt_stop_ = std::stop_source();
        attempt_stop = attempt_stop_.get_token();
        reset_status(SlotPhase::identify);
        ++status_.attempt;
        latched_ = false;
        came_back_ = false;
        departed_.reset();
        closed_ = session_.config_.once;
        if (session_.config_.rules != nullptr) session_.config_.rules->arrived(config_.name);
        running_ = true;
        tell();
      }
      AttemptResult result = run_attempt(session_.context_, config_.name, port, *this, attempt_stop);
      finish(result);
      session_.publish(std::move(result));
    }
  }

  void reset_status(SlotPhase phase) {
    const unsigned attempt = status_.attempt;
    status_ = SlotStatus{};
    status_.slot = config_.name;
    status_.training = session_.config_.training;
    status_.attempt = attempt;
    status_.phase = phase;
  }

  void finish(const AttemptResult& result) {
    const std::scoped_lock lock(mutex_);
    running_ = false;
    show(result);
    tell();
    if (session_.config_.observer != nullptr) session_.config_.observer->on_finished(result);
  }

  // With the lock held, so that what is told is in order.
  void tell() {
    told_ = Clock::now();
    if (session_.config_.observer != nullptr) session_.config_.observer->on_slot(status_);
  }

  void show(const AttemptResult& result) {
    // Gone already (pulled, or rebooting): the result is in the records, the slot is empty, or holds what came since.
    if (departed_ && result.verdict == db::AttemptVerdict::passed) {
      if (status_.phase != SlotPhase::latched) reset_status(SlotPhase::empty);
      return;
    }
    status_.phase = SlotPhase::done;
    status_.verdict = result.verdict;
    status_.proof = result.proof;
    status_.left.reset();
    if (result.error) {
      status_.error_id = result.error->id();
      status_.message = std::string(result.error->row().text) + ". ";
      if (!result.earlier.empty()) status_.message += "Earlier: " + earlier_text(result.earlier) + ". ";
      status_.message += result.error->row().remedy;
      status_.earlier = result.earlier;
    }
    if (!result.note.empty()) status_.message += (status_.message.empty() ? "" : " ") + result.note;
  }

  Session& session_;
  SlotConfig config_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  SlotStatus status_;
  RateMeter meter_;
  std::uint64_t read_back_due_ = 0;
  devices::PortPath port_;                    // of the device that the slot works with, or worked with last
  std::optional<devices::PortPath> waiting_;  // where a device stands that no attempt was made with
  bool running_ = false;                      // an attempt
  bool closed_ = false;                       // no device is taken any more
  bool ending_ = false;                       // of the session
  bool latched_ = false;
  bool came_back_ = false;  // after its PASS, from a reboot; departed_ still says when it left
  std::optional<Clock::time_point> departed_;
  Clock::time_point told_;
  std::stop_source attempt_stop_;
  std::jthread thread_;  // last: it ends before what it uses
};

Session::Session(SessionConfig config, devices::DeviceBus& bus, db::Records& records, const core::WallClock& clock)
    : config_(std::move(config)),
      context_{.records = records,
               .bus = bus,
               .clock = clock,
               .image = config_.image,
               .recipe = config_.recipe,
               .active = active_,
               .scratch = config_.scratch,
               .training = config_.training,
               .recorder = config_.recorder,
               .rules = config_.rules} {
  if (config_.recipe.stagger.starts > 0) context_.gate = &gate_.emplace(config_.recipe.stagger);
}

core::Result<std::unique_ptr<Session>> Session::start(SessionConfig config, devices::DeviceBus& bus,
                                                      db::Records& records, const core::WallClock& clock) {
  if (bus.is_virtual() && !config.training) return fail("station.training-only");
  IMPRINT_TRY(const bool mixed, records.has_attempts(!config.training));
  if (mixed) return fail("station.records-mixed");
  std::set<std::string> names;
  std::set<devices::PortPath> ports;
  for (const SlotConfig& slot : config.slots) {
    if (slot.name.empty() || !names.insert(slot.name).second)
      return fail("station.slot-map-invalid").with("slot", slot.name);
    if (!ports.insert(slot.port).second) return fail("station.slot-map-invalid").with("port", slot.port.text);
    for (const devices::PortPath& port : slot.other_ports)
      if (!ports.insert(port).second) return fail("station.slot-map-invalid").with("port", port.text);
  }
  // What a crash left open belongs to nobody any more. A line has ended it when it opened the records.
  if (config.rules == nullptr) {
    IMPRINT_TRY(const auto interrupted, records.close_interrupted());
    static_cast<void>(interrupted);
  }
  std::unique_ptr<Session> session(new Session(std::move(config), bus, records, clock));
  for (const SlotConfig& slot : session->config_.slots)
    session->slots_.push_back(std::make_unique<Slot>(*session, slot));
  session->subscription_ = bus.subscribe(*session);
  return session;
}

Session::~Session() {
  subscription_.reset();  // no more arrivals; then each slot's thread is stopped and joined
  for (const auto& slot : slots_) slot->stop();
  slots_.clear();
}

Session::Slot* Session::find(const devices::PortPath& port) const {
  const std::scoped_lock lock(slots_mutex_);
  const auto found = std::ranges::find_if(slots_, [&](const auto& slot) { return slot->owns(port); });
  return found == slots_.end() ? nullptr : found->get();
}

// Only from on_arrival, of which there is one call at a time.
Session::Slot* Session::find_or_make(const devices::PortPath& port) {
  if (Slot* slot = find(port)) return slot;
  if (!config_.slot_of || !takes_more_) return nullptr;
  const auto name = config_.slot_of(port);
  if (!name) return nullptr;
  const std::scoped_lock lock(slots_mutex_);
  const auto same = std::ranges::find_if(slots_, [&](const auto& slot) { return slot->config().name == *name; });
  if (same != slots_.end()) {
    (*same)->adopt(port);
    return same->get();
  }
  if (slots_.size() >= kMostSlots) return nullptr;
  return slots_.emplace_back(std::make_unique<Slot>(*this, SlotConfig{*name, port})).get();
}

std::vector<Session::Slot*> Session::all_slots() const {
  const std::scoped_lock lock(slots_mutex_);
  std::vector<Slot*> all;
  all.reserve(slots_.size());
  for (const auto& slot : slots_) all.push_back(slot.get());
  return all;
}

void Session::on_arrival(const devices::PortPath& port) {
  if (Slot* slot = find_or_make(port)) {
    slot->arrived(port);
    return;
  }
  const std::scoped_lock lock(mutex_);
  refused_ports_.push_back(port);
  if (config_.observer != nullptr) config_.observer->on_refused_port(port, true);
}

void Session::on_departure(const devices::PortPath& port) {
  if (Slot* slot = find(port)) {
    slot->departed(port);
    return;
  }
  const std::scoped_lock lock(mutex_);
  std::erase(refused_ports_, port);
  if (config_.observer != nullptr) config_.observer->on_refused_port(port, false);
}

void Session::publish(AttemptResult result) {
  // A line that runs for months asks for none of them.
  if (config_.observer != nullptr && !config_.once) return;
  const std::scoped_lock lock(mutex_);
  finished_.push_back(std::move(result));
  finished_changed_.notify_all();
}

std::vector<SlotStatus> Session::snapshot() const {
  std::vector<SlotStatus> out;
  for (const Slot* slot : all_slots()) out.push_back(slot->status());
  return out;
}

std::optional<AttemptResult> Session::next_finished(core::Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (!finished_changed_.wait_until(lock, deadline.at(), [&] { return !finished_.empty(); })) return std::nullopt;
  AttemptResult result = std::move(finished_.front());
  finished_.pop_front();
  return result;
}

std::vector<devices::PortPath> Session::refused_ports() const {
  const std::scoped_lock lock(mutex_);
  return refused_ports_;
}

void Session::cancel_all() {
  takes_more_ = false;
  for (Slot* slot : all_slots()) slot->close(Slot::Closing::cancels);
}

void Session::end_all() {
  takes_more_ = false;
  for (Slot* slot : all_slots()) slot->close(Slot::Closing::gives_up);
}

void Session::take_no_more() {
  takes_more_ = false;
  for (Slot* slot : all_slots()) slot->close(Slot::Closing::goes_on);
}

bool Session::cancel(const std::string& slot) {
  const auto all = all_slots();
  const auto found = std::ranges::find_if(all, [&](const Slot* entry) { return entry->config().name == slot; });
  return found != all.end() && (*found)->cancel();
}

std::vector<LatchedSlot> Session::latched() const {
  std::vector<LatchedSlot> out;
  for (const Slot* slot : all_slots())
    if (auto latched = slot->latched()) out.push_back(std::move(*latched));
  return out;
}

std::size_t Session::running() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(all_slots(), [](const Slot* slot) { return slot->is_running(); }));
}

}  // namespace imprint::station
