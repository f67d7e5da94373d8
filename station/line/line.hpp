// SPDX-License-Identifier: GPL-3.0-or-later
// The line: what is armed, which devices are worked on, and what waits. One for each station, for as long as it runs.
#pragma once

#include <boost/json/fwd.hpp>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "db/armings.hpp"
#include "db/records.hpp"
#include "devices/capture/recorder.hpp"
#include "devices/protocol/device_bus.hpp"
#include "flash/core/clock.hpp"
#include "station/admission/scan_desk.hpp"
#include "station/api/event_log.hpp"
#include "station/config/configuration.hpp"
#include "station/images/image_store.hpp"
#include "station/line/line_rules.hpp"
#include "station/line/standing.hpp"
#include "station/session.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::line {

// What the line works with; all of it outlives the line.
struct LineParts {
  db::Records& records;
  devices::DeviceBus& bus;
  const core::WallClock& clock;
  api::EventLog& events;
  images::ImageStore& images;
  capture::Recorder* recorder = nullptr;
  std::function<void(const AttemptResult&)> on_attempt = {};  // as each ends; called from its slot's thread
  AtWork at_work = {};                                        // not given: nobody has to be signed in
};

// Thread-safe. Calls that change something take turns; status() does not wait for their turn.
class Line final : public SessionObserver {
 public:
  // Ends in the records what a crash left open. What was armed then is loaded again, and disarmed: `loaded` in the
  // status. `station.training-only`, `station.records-mixed`, `records.*`.
  [[nodiscard]] static core::Result<std::unique_ptr<Line>> open(LineParts parts, config::Configuration configuration);
  // What runs closes as aborted.
  ~Line() override;

  // The product's image is taken from the store and judged anew under the product's policy; devices that are plugged in
  // start at once. `order`: empty for none. `line.product-unknown`, `config.faulty`, `line.image-unnamed`, `store.*`,
  // `trust.*`, `quarantine.*`, `order.*`, `line.policy-laxer`, `line.busy` while devices are worked on.
  [[nodiscard]] core::Status arm(const std::string& product, const std::string& order, const db::Actor& by);
  // One device in each of these slots that stands there now (all that hold one, where none is named), by a recipe that
  // need be no product's of the configuration. Returns when each has ended, or when nothing happens any more; a stop
  // closes what runs as aborted. `show` is called a few times a second. As arm(); `line.busy` also while the line is
  // armed, `device.not-present` for a slot that is empty.
  struct Once {
    config::ProductFile product;
    std::vector<std::string> slots{};
    db::Actor by{};
  };
  using ShowSlots = std::function<void(const std::vector<SlotStatus>&)>;
  [[nodiscard]] core::Result<std::vector<AttemptResult>> flash_once(const Once& what, const ShowSlots& show,
                                                                    const std::stop_token& stop);
  // What flash_once() would refuse before an image is read: policy, slots, and whether the line is free.
  [[nodiscard]] core::Result<std::vector<SlotConfig>> check_once(const Once& what) const;
  // No further device is begun with; those that are worked on go on. `line.not-armed`.
  [[nodiscard]] core::Status disarm(const std::string& reason, const db::Actor& by);
  // What runs in the slot, or in all of them (empty), closes as aborted. `line.slot-unknown`.
  [[nodiscard]] core::Status cancel(const std::string& slot);
  // The slot that took the scan; nothing: it waits. `serial.*` for what is no serial of the armed product,
  // `line.not-armed`. `before`: asked once the scan is good, before anybody can take it; where it fails nobody does.
  [[nodiscard]] core::Result<std::optional<std::string>> scan(const std::string& text, bool typed,
                                                              const std::string& slot, const std::string& by,
                                                              const std::function<core::Status()>& before = {});
  void clear_scan() { desk_.clear(); }
  [[nodiscard]] Leaves& leaves() { return leaves_; }

  // New products and slots from the files; what is armed keeps what it was armed with. Nothing is taken over from a
  // configuration with faults: `config.faulty`, `station.slot-map-invalid`.
  [[nodiscard]] core::Status reload(config::Configuration configuration);
  [[nodiscard]] std::shared_ptr<const config::Configuration> configuration() const;

  // For api.md's station.status.
  [[nodiscard]] boost::json::object status() const;
  [[nodiscard]] bool is_armed() const;
  // Identity of the image that is armed, or still being flashed; empty for none.
  [[nodiscard]] std::string image() const;
  [[nodiscard]] std::optional<db::OrderId> armed_order() const;
  // The image that is armed, as attempts have it; nothing while nothing is.
  [[nodiscard]] std::shared_ptr<engine::VerifiedImage> armed_image() const;
  // Ports of a slot in the slot map; none for a slot that it does not know.
  [[nodiscard]] std::vector<devices::PortPath> ports_of(const std::string& slot) const;
  [[nodiscard]] std::shared_ptr<const SlotMap> slot_map() const;
  [[nodiscard]] std::size_t running() const;
  [[nodiscard]] std::vector<SlotStatus> slots() const;

  // Once a second: scans that are too old, a session that has drained.
  void tick();
  // No device is begun with any more; attempts that end within `patience` may, the others are aborted. Nothing is armed
  // afterwards, and nothing can be.
  void stop(std::chrono::milliseconds patience);

  void on_slot(const SlotStatus& status) override;
  void on_finished(const AttemptResult& result) override;
  void on_refused_port(const devices::PortPath& port, bool present) override;

 private:
  struct Armament;  // what one arming holds
  Line(LineParts parts, config::Configuration configuration);
  [[nodiscard]] core::Result<Armed> prepare(const config::ProductFile& product, const std::string& order,
                                            const db::Actor& by, const config::Configuration& configuration) const;
  [[nodiscard]] core::Result<ArmedImage> take_image(const config::ProductFile& product,
                                                    const config::Configuration& configuration) const;
  [[nodiscard]] core::Status note_image(const std::string& digest) const;
  [[nodiscard]] core::Status note_slot_map(const SlotMap& map, const std::string& digest) const;
  [[nodiscard]] static core::Result<const config::ProductFile*> product_of(const config::Configuration& configuration,
                                                                           const std::string& name);
  [[nodiscard]] core::Status check_quarantines(const Armed& armed) const;
  [[nodiscard]] core::Result<std::optional<db::RangeId>> register_range(const config::ProductFile& product,
                                                                        const db::Actor& by) const;
  [[nodiscard]] core::Status make_room();
  // What an armament is made of, once everything about it was found good.
  struct Ready {
    Armed armed;
    ArmedImage image;
    Recipe recipe;
  };
  [[nodiscard]] core::Result<Ready> make_ready(const config::ProductFile& product, const std::string& order,
                                               const db::Actor& by, const config::Configuration& configuration,
                                               const SlotMap& map) const;
  [[nodiscard]] static core::Status check_policy(const config::ProductFile& product,
                                                 const config::Configuration& configuration);
  // `chosen`: these slots once; empty: all slots of the map, until it is disarmed.
  [[nodiscard]] core::Status start(Ready ready, const std::shared_ptr<const SlotMap>& map,
                                   const config::Configuration& configuration, const std::string& order,
                                   std::vector<SlotConfig> chosen);
  [[nodiscard]] core::Result<std::shared_ptr<Armament>> start_once(const Once& what);
  void end_once(const std::shared_ptr<Armament>& armament);
  void note_loaded(const std::string& order);
  void keep_standing(const Armament& armament);
  void forget_result(const devices::PortPath& port);
  void disarm_quietly();
  void publish_station(std::string_view what);
  void on_notice(const admission::ScanNotice& notice);
  void on_quarantine(db::QuarantineKind kind, const std::string& subject, const core::Error& why);

  LineParts parts_;
  Standing standing_{[this](const devices::PortPath& port) { forget_result(port); }};
  std::unique_ptr<devices::BusSubscription> standing_watch_;
  admission::ScanDesk desk_;
  Leaves leaves_;
  std::mutex turn_;           // of calls that change what is armed
  mutable std::mutex mutex_;  // of what follows
  std::shared_ptr<const config::Configuration> configuration_;
  std::shared_ptr<const SlotMap> slot_map_;
  std::optional<db::ArmingRow> loaded_;  // what was armed last, where nothing is
  std::string loaded_order_;             // its number
  std::shared_ptr<Armament> armament_;   // also of a line that drains
  std::vector<SlotStatus> last_slots_;   // what they showed when it had drained
  bool is_armed_ = false;
  bool stopping_ = false;
  std::mutex stop_mutex_;
  std::condition_variable finished_;
};

}  // namespace imprint::station::line
