// SPDX-License-Identifier: GPL-3.0-or-later
// Does it fit, what is due, and the write with its second tries.
#include "flash/engine/flash_device.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/engine/block_writer.hpp"
#include "flash/engine/errors.hpp"
#include "flash/engine/gpt_refit.hpp"
#include "flash/ffu/disk_map.hpp"

namespace imprint::engine {
namespace {

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

core::Status check_device(const ffu::Image& image, const DeviceIdentity& identity) {
  const auto ids = image.platform_ids();
  if (!identity.is_bare_disk && !ffu::platform_matches(ids, identity.platform_id)) {
    return fail("device.platform-mismatch").with("expected", joined(ids)).with("actual", identity.platform_id);
  }
  // A device applies what is streamed to it, and the devices of the field take no compressed images; a partial update
  // needs what an earlier one left behind, which a line cannot prove.
  if (image.is_compressed() && !identity.is_bare_disk) return fail("image.compressed");
  if (image.is_partial_update()) return fail("image.partial-update");
  // Only the first store is read back: an image with more could not be proved, so it is not flashed.
  if (image.stores.size() != 1) return fail("image.several-stores").with("stores", image.stores.size());
  if (!identity.disk) return fail("device.disk-unknown");
  const std::uint64_t wanted = image.manifest.stores.empty() ? 0 : image.manifest.stores[0].min_disk_bytes();
  if (identity.disk->size < wanted) {
    return fail("device.disk-too-small").with("expected", wanted).with("actual", identity.disk->size);
  }
  if (!image.manifest.stores.empty() && identity.disk->sector_size != image.manifest.stores[0].sector_size) {
    return fail("device.sector-size-mismatch")
        .with("expected", image.manifest.stores[0].sector_size)
        .with("actual", identity.disk->sector_size);
  }
  return {};
}

// A descriptor that lies outside of this disk is found before the first byte is sent.
core::Result<ffu::DiskMap> map_of(const ffu::Image& image, const DeviceIdentity& identity) {
  auto map = ffu::DiskMap::build(image.stores[0], identity.disk->size);
  if (!map) {
    return fail("device.disk-too-small").with("actual", identity.disk->size).caused_by(std::move(map).error());
  }
  if (map->described_bytes() == 0) return fail("image.describes-nothing");
  return map;
}

// A map of the disk, and what its GPT needs where the disk is larger than the image was made for.
VerifiedImage::Plan make_plan(VerifiedImage& image, const DeviceIdentity& identity, bool refit) {
  IMPRINT_TRY(ffu::DiskMap map, map_of(image.image(), identity));
  std::vector<Replacement> replacements;
  std::vector<std::string> warnings;
  std::optional<MisplacedBackup> gpt;
  const auto& stores = image.image().manifest.stores;
  if (!stores.empty() && identity.disk->size > stores[0].min_disk_bytes()) {
    const ffu::DescribedDisk disk(map, image.as_plain_source());
    const auto misplaced = misplaced_backup(disk, identity.disk->sector_size);
    // An image that cannot be read here cannot be read when it is written, and that is the time to fail.
    if (!misplaced && refit) return std::unexpected(misplaced.error());
    if (misplaced && *misplaced) {
      const std::uint64_t last = identity.disk->size / identity.disk->sector_size - 1;
      gpt = MisplacedBackup{**misplaced, last, refit};
      const std::string from = "sector " + std::to_string(**misplaced);
      const std::string to = "the disk's last sector, " + std::to_string(last);
      if (refit) {
        IMPRINT_TRY(replacements, refit_gpt(disk, identity.disk->sector_size));
        warnings.push_back("the GPT was fitted to this larger disk: its backup was moved from " + from + " to " + to);
      } else {
        warnings.push_back("the disk is larger than the image was made for: the GPT's backup is in " + from +
                           " and not in " + to);
      }
    }
  }
  return std::make_shared<const WritePlan>(std::move(map), std::move(replacements), std::move(warnings), gpt);
}

// A stream's image, with the time that it kept the target waiting.
class MeteredStream final : public ImageStream {
 public:
  explicit MeteredStream(VerifiedImage& image) : image_(image) {}
  [[nodiscard]] std::uint64_t size() const override { return image_.size(); }
  [[nodiscard]] core::Status read(std::uint64_t offset, core::ByteSpan out) override {
    return image_.read_stored(offset, out, &waited_);
  }
  [[nodiscard]] std::uint32_t shared_value(std::uint64_t family, std::uint64_t index,
                                           const std::function<std::uint32_t()>& compute) override {
    return image_.shared_value(family, index, compute);
  }
  // What was waited for since it was asked last.
  [[nodiscard]] Starvation take_waited() { return std::exchange(waited_, {}); }

 private:
  VerifiedImage& image_;
  Starvation waited_;  // the target reads on the thread that it was called on
};

// Counts along. What a stream's target did not wait for the image, it waited for the device.
class MeteredObserver final : public TransferObserver {
 public:
  MeteredObserver(TransferObserver& observer, PhaseMeter& meter, MeteredStream& stream)
      : observer_(observer), meter_(meter), stream_(stream), since_(std::chrono::steady_clock::now()) {}
  void on_bytes(std::uint64_t done) override {
    done_ = done;
    meter_.set_done(done);
    count_waits();
    observer_.on_bytes(done);
  }
  void on_device_log(std::string_view line) override { observer_.on_device_log(line); }
  void count_waits() {
    const auto now = std::chrono::steady_clock::now();
    Starvation waited = stream_.take_waited();
    const std::chrono::nanoseconds spent = now - std::exchange(since_, now);
    waited.device = std::max(std::chrono::nanoseconds(0), spent - waited.source - waited.hash);
    meter_.add(waited);
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }

 private:
  TransferObserver& observer_;
  PhaseMeter& meter_;
  MeteredStream& stream_;
  std::chrono::steady_clock::time_point since_;
  std::uint64_t done_ = 0;
};

core::Status write_stream(StreamTarget& target, VerifiedImage& image, TransferObserver& observer, PhaseMeter& meter,
                          const std::stop_token& stop, WriteOutcome& outcome) {
  MeteredStream stream(image);
  MeteredObserver metered(observer, meter, stream);
  auto done = target.flash(stream, metered, stop);
  metered.count_waits();
  outcome.written = metered.done();
  return done;
}

core::Status write_disk(BlockTarget& target, VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy,
                        TransferObserver& observer, PhaseMeter& meter, const std::stop_token& stop,
                        WriteOutcome& outcome) {
  IMPRINT_TRY(const auto disk, target.open_queue_for_writing());
  auto done = write_blocks(image, plan, policy, *disk, observer, meter, stop, outcome);
  for (std::string& note : disk->notes()) {
    if (std::ranges::find(outcome.notes, note) == outcome.notes.end()) outcome.notes.push_back(std::move(note));
  }
  return done;
}

}  // namespace

core::Result<ffu::DiskMap> check_fit(const ffu::Image& image, const DeviceIdentity& identity) {
  IMPRINT_CHECK(check_device(image, identity));
  return map_of(image, identity);
}

core::Result<std::shared_ptr<const WritePlan>> plan_for(VerifiedImage& image, const DeviceIdentity& identity,
                                                        const FlashPolicy& policy) {
  IMPRINT_CHECK(check_device(image.image(), identity));
  const bool refit = policy.refit_gpt && identity.is_bare_disk;
  return image.shared_plan({identity.disk->size, identity.disk->sector_size, refit},
                           [&] { return make_plan(image, identity, refit); });
}

std::uint64_t bytes_due(Target& target, const VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy) {
  if (target.as_block() == nullptr) return image.size();
  const bool is_zeroed = policy.erasure == Erasure::zero || policy.erasure == Erasure::verified;
  return plan.described_bytes() + (is_zeroed ? plan.left_out_bytes() : 0);
}

core::Status write_image(Target& target, VerifiedImage& image, const WritePlan& plan, const FlashPolicy& policy,
                         TransferObserver& observer, PhaseMeter& meter, const std::stop_token& stop,
                         WriteOutcome& outcome) {
  outcome = {};
  outcome.notes = plan.warnings();
  meter.set_due(bytes_due(target, image, plan, policy));
  image.start_reading_ahead();
  for (;; ++outcome.tries) {
    outcome.written = outcome.skipped = outcome.erased = 0;
    const auto began = std::chrono::steady_clock::now();
    StreamTarget* const stream = target.as_stream();
    auto done = stream != nullptr ? write_stream(*stream, image, observer, meter, stop, outcome)
                                  : write_disk(*target.as_block(), image, plan, policy, observer, meter, stop, outcome);
    if (done) {
      IMPRINT_CHECK(image.check_unchanged());
      if (!image.has_name())
        outcome.notes.emplace_back(
            "the image's file was taken away or replaced meanwhile; what was written was verified");
      return {};
    }
    if (outcome.tries > policy.retries.times || !policy.retries.is_worth_one(done.error()) || stop.stop_requested())
      return done;
    outcome.notes.push_back("begun again after: " + done.error().message());
    outcome.parts.push_back(
        {WritePart::Kind::failed_try, began, std::chrono::steady_clock::now() - began, outcome.written, done.error()});
    // Or a deadline of the last bytes would go on while the next try's first are on their way.
    meter.set_done(0);
    observer.on_bytes(0);
  }
}

core::Status finish_device(Target& target, AfterPass after) {
  switch (after) {
    case AfterPass::nothing:
      return {};
    case AfterPass::reboot:
      return target.reboot();
    case AfterPass::power_off:
      return target.power_off();
    case AfterPass::mass_storage:
      return target.switch_to_mass_storage();
  }
  return {};
}

}  // namespace imprint::engine
