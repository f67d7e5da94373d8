// SPDX-License-Identifier: GPL-3.0-or-later
// Waits for plugs, people and signals at once.
#include "station/cli/learn_slots.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <thread>

#include "devices/usb/port_diagnosis.hpp"
#include "devices/usb/port_peer.hpp"
#include "devices/usb/usb_bus.hpp"
#include "devices/usb/usb_topology.hpp"
#include "flash/core/deadline.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/cli/device_commands.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
using usb::PortDiagnosis;
using usb::TopologyNode;

constexpr std::chrono::seconds kSettleLimit{2};
constexpr std::chrono::milliseconds kSettlePause{50};
constexpr int kLookMs = 1000;  // for hubs, of which the bus does not tell

void collect_hubs(const std::vector<TopologyNode>& nodes, std::set<std::string>& hubs) {
  for (const TopologyNode& node : nodes) {
    if (node.kind == TopologyNode::Kind::hub) hubs.insert(node.port.text);
    collect_hubs(node.ports, hubs);
  }
}

std::set<std::string> hubs_now() {
  std::set<std::string> hubs;
  collect_hubs(usb::read_topology(), hubs);
  return hubs;
}

// Standard input: a line ends the learning. One that ended (or is /dev/null) does not, so that a script may go by
// signals.
class Terminal {
 public:
  [[nodiscard]] int descriptor() const { return open_ ? STDIN_FILENO : -1; }
  // After a poll that found it readable.
  [[nodiscard]] bool read_line() {
    std::array<char, 256> text{};
    const auto count = ::read(STDIN_FILENO, text.data(), text.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return false;
    if (count <= 0) {
      open_ = false;
      return false;
    }
    return std::find(text.begin(), text.begin() + count, '\n') != text.begin() + count;
  }

 private:
  bool open_ = true;
};

core::Status handle(const PlugEvents::Event& event, SlotLearner& learner) {
  if (!event.arrived) {
    learner.leave(event.port, event.at);
    return {};
  }
  const auto newcomer = newcomer_at(event.port);
  if (!newcomer) return {};
  IMPRINT_TRY(const std::string words, learner.arrive(*newcomer, event.at));
  print_line(core::printable(words));
  return {};
}

// The bus does not announce hubs.
core::Status handle_new_hubs(std::set<std::string>& known, SlotLearner& learner) {
  std::set<std::string> now = hubs_now();
  for (const std::string& hub : now) {
    if (!known.contains(hub)) IMPRINT_CHECK(handle({{hub}, true, SlotLearner::Clock::now()}, learner));
  }
  known = std::move(now);
  return {};
}

core::Status listen(PlugEvents& events, SlotLearner& learner, const std::stop_token& stop) {
  Terminal terminal;
  std::set<std::string> hubs = hubs_now();
  for (bool ended = false; !ended;) {
    std::array<pollfd, 2> waits{{{events.descriptor(), POLLIN, 0}, {terminal.descriptor(), POLLIN, 0}}};
    const int ready = ::poll(waits.data(), waits.size(), kLookMs);
    if (ready < 0 && errno != EINTR) return core::fail_errno(errno, "io.read-failed", "waiting for a device");
    if (ready > 0 && waits[1].revents != 0) ended = terminal.read_line();
    events.clear_wake();
    ended = ended || stop.stop_requested();
    while (const auto event = events.take()) IMPRINT_CHECK(handle(*event, learner));
    IMPRINT_CHECK(handle_new_hubs(hubs, learner));
  }
  return {};
}

void say_what_is_next(const SlotLearner& learner, const fs::path& file, const std::vector<fs::path>& folders) {
  const std::size_t count = learner.learned();
  print_line(core::printable(fmt::format("{} slot{} in {}.", count, count == 1 ? " is" : "s are", file.native())));
  const auto is_its_folder = [&file](const fs::path& folder) {
    std::error_code error;
    return fs::equivalent(folder, file.has_parent_path() ? file.parent_path() : fs::path("."), error);
  };
  if (file.extension() != ".conf" || std::ranges::none_of(folders, is_its_folder))
    print_line(core::printable(fmt::format("The station reads *.conf in {}: move it there.", folders.back().native())));
  print_line("Then make the ports' udev rules anew: imprint devices --udev-rules.");
}

// Before anybody goes from slot to slot. The station's own folder is made where it is missing.
core::Status check_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::error_code error;
  if (file == kLearnedSlots) fs::create_directories(folder, error);
  if (error) return core::fail_errno(error.value(), "io.write-failed", folder.native());
  if (::access(folder.c_str(), W_OK | X_OK) != 0) return core::fail_errno(errno, "io.write-failed", folder.native());
  return {};
}

core::Result<std::size_t> learn(const fs::path& file, const std::vector<fs::path>& folders,
                                const std::stop_token& stop) {
  IMPRINT_TRY(SlotMap known, SlotMap::load(folders));
  IMPRINT_CHECK(check_folder(file));
  IMPRINT_TRY(SlotLearner learner, SlotLearner::make(file, std::move(known)));
  IMPRINT_TRY(const auto bus, usb::UsbBus::open());
  IMPRINT_TRY(const auto events, PlugEvents::make());
  const std::stop_callback on_stop(stop, [&events] { events->wake(); });
  const auto subscription = bus->subscribe(*events);
  events->begin();
  print_line(
      "Plug a device into the first slot, then into the next one, slot by slot; what is plugged in now is left "
      "alone. Enter or Ctrl-C ends it. To take the last slot back, pull its device for three seconds and plug "
      "it in again.");
  IMPRINT_CHECK(listen(*events, learner, stop));
  if (learner.learned() > 0) say_what_is_next(learner, file, folders);
  return learner.learned();
}

}  // namespace

core::Result<std::unique_ptr<PlugEvents>> PlugEvents::make() {
  const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) return core::fail_errno(errno, "io.open-failed", "an event counter");
  return std::unique_ptr<PlugEvents>(new PlugEvents(descriptor));
}

PlugEvents::~PlugEvents() { ::close(descriptor_); }

void PlugEvents::begin() {
  const std::scoped_lock lock(mutex_);
  begun_ = true;
}

void PlugEvents::wake() const { ::eventfd_write(descriptor_, 1); }

void PlugEvents::clear_wake() const {
  eventfd_t count = 0;
  ::eventfd_read(descriptor_, &count);
}

std::optional<PlugEvents::Event> PlugEvents::take() {
  const std::scoped_lock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void PlugEvents::add(const devices::PortPath& port, bool arrived) {
  {
    const std::scoped_lock lock(mutex_);
    if (!begun_) return;
    events_.push_back({port, arrived, SlotLearner::Clock::now()});
  }
  wake();
}

std::optional<Newcomer> newcomer_at(const devices::PortPath& port) {
  using Problem = PortDiagnosis::Problem;
  const auto limit = core::Deadline::after(kSettleLimit);
  PortDiagnosis seen = usb::check_port(port, devices::DisksAllowed::fixed);
  while (seen.problem == Problem::not_configured && !limit.passed()) {
    std::this_thread::sleep_for(kSettlePause);
    seen = usb::check_port(port, devices::DisksAllowed::fixed);
  }
  Newcomer newcomer;
  newcomer.port = port;
  newcomer.product = seen.identity.product;
  newcomer.is_disk = seen.is_disk;
  switch (seen.problem) {
    case Problem::invalid_port:
    case Problem::no_such_port:
    case Problem::empty:
      return std::nullopt;
    case Problem::hub:
    case Problem::not_authorised:
    case Problem::not_configured:
      newcomer.refusal = seen.explanation;
      break;
    case Problem::refused:
      // What is no device to flash now may be one in another mode, and a disk that is in use is one to learn from.
      if (seen.error_id == "device.unexpected-interface" || seen.error_id == "device.protocol-violation")
        newcomer.refusal = seen.explanation;
      break;
    default:
      break;
  }
  if (newcomer.refusal.empty()) newcomer.peer = usb::peer_of(port);
  return newcomer;
}

ExitStatus learn_slots(const fs::path& file, const std::vector<fs::path>& slot_folders, const std::stop_token& stop) {
  const auto learned = learn(file, slot_folders, stop);
  if (!learned) return report_error(learned.error(), false);
  if (*learned > 0) return ExitStatus::good;
  print_line("No slot was learned.");
  return ExitStatus::nothing;
}

}  // namespace imprint::station::cli
