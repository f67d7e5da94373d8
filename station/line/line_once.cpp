// SPDX-License-Identifier: GPL-3.0-or-later
// What an engineer asks for beside the products: chosen slots, each once, by a recipe that is made for it.
#include <algorithm>
#include <utility>

#include "station/errors.hpp"
#include "station/flash_waiting.hpp"
#include "station/line/armament.hpp"
#include "station/line/errors.hpp"
#include "station/slot_choice.hpp"

namespace imprint::station::line {

core::Result<std::vector<SlotConfig>> Line::check_once(const Once& what) const {
  std::shared_ptr<const config::Configuration> configuration;
  std::shared_ptr<const SlotMap> map;
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return fail("line.stopping");
    if (is_armed_)
      return fail("line.busy", "the line is armed, and has to be disarmed first")
          .with("product", armament_->rules.armed().product.name);
    if (armament_ && armament_->session->running() > 0) return fail("line.busy");
    configuration = configuration_;
    map = slot_map_;
  }
  IMPRINT_CHECK(check_policy(what.product, *configuration));
  return choose_slots(*map, what.slots, parts_.bus.occupied());
}

core::Result<std::shared_ptr<Line::Armament>> Line::start_once(const Once& what) {
  const std::scoped_lock turn(turn_);
  IMPRINT_TRY(auto chosen, check_once(what));
  std::shared_ptr<const config::Configuration> configuration;
  std::shared_ptr<const SlotMap> map;
  {
    const std::scoped_lock lock(mutex_);
    configuration = configuration_;
    map = slot_map_;
  }
  IMPRINT_TRY(Ready ready, make_ready(what.product, {}, what.by, *configuration, *map));
  ready.armed.once = true;
  IMPRINT_CHECK(make_room());
  disarm_quietly();
  IMPRINT_CHECK(start(std::move(ready), map, *configuration, {}, std::move(chosen)));
  const std::scoped_lock lock(mutex_);
  if (!armament_) return fail("line.stopping");
  return armament_;
}

void Line::end_once(const std::shared_ptr<Armament>& armament) {
  armament->rules.close();
  armament->session->cancel_all();  // what was plugged in at the last moment, too
  {
    const std::scoped_lock lock(mutex_);
    if (armament_ != armament) return;
    is_armed_ = false;
  }
  tick();  // it has drained, but for one that was begun with at the last moment
  publish_station("disarmed");
}

core::Result<std::vector<AttemptResult>> Line::flash_once(const Once& what, const ShowSlots& show,
                                                          const std::stop_token& stop) {
  IMPRINT_TRY(const auto armament, start_once(what));
  // However it ends: the line is nobody's afterwards.
  const std::shared_ptr<void> end(nullptr, [this, &armament](void*) {
    try {
      end_once(armament);
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): out of memory; the line's clock ends it
    }
  });
  publish_station("flashing");
  const std::size_t expected = armament->session->snapshot().size();
  return wait_for_all(*armament->session, expected, show, stop);
}

}  // namespace imprint::station::line
