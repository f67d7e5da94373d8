// SPDX-License-Identifier: GPL-3.0-or-later
// The device's side of UFP: each OUT transfer is a message, each message has one reply, and the image in the messages
// is checked and applied as strictly as by a real device. Facts in devices/protocol/ufp_protocol.hpp.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "devices/protocol/ufp_messages.hpp"
#include "devices/virtual/ffu_receiver.hpp"
#include "devices/virtual/virtual_device.hpp"
#include "devices/virtual/virtual_storage.hpp"
#include "flash/core/guid.hpp"
#include "flash/core/result.hpp"

namespace imprint::virtual_device {

// What goes wrong with the device, and when. Image bytes are counted as the messages come in, from each first header
// on. Each fault happens once, but for a device that died, a slow one and a bad sector.
struct UfpFaults {
  std::optional<std::uint64_t> disconnect_at_byte;
  struct StatusAt {
    std::uint64_t byte = 0;
    std::uint16_t code = 0;
  };
  std::optional<StatusAt> status_at;
  enum class Reply { garbage, none, cut_short, stall };
  struct ReplyAt {
    std::uint64_t number = 0;  // counted from 1, from when the power came
    Reply how = Reply::garbage;
  };
  std::optional<ReplyAt> reply_at;
  std::uint64_t slow_write = 0;             // bytes a second that it takes of an image; 0: as the link goes
  std::optional<std::uint64_t> bad_sector;  // byte offset on the disk; what is written there fails
  bool dies_after_reboot = false;           // it is there again, and answers nothing
};

struct UfpOptions {
  std::string platform_id;  // "Manufacturer.Family.Product.Version"
  core::Guid serial;
  core::Guid unique_id;
  std::uint16_t vendor_id = 0x045E;
  std::uint16_t product_id = 0x066B;
  std::uint64_t disk_size = 0;  // bytes, a multiple of 512
  std::filesystem::path storage_folder;
  // What the device says that it speaks; without, it says nothing of it, and speaks V1 and V2.
  std::optional<std::uint16_t> protocols = devices::ufp::kSyncV1 | devices::ufp::kSyncV2;
  // Says that it is done only after the closing message of V2, zeros behind the payload; refuses one otherwise.
  bool waits_for_closing = false;
  bool refuses_v2 = false;                     // answers V2 as a message that it does not know, whatever it said
  std::uint16_t header_v2_protocol = 2;        // the one number in V2's headers that it takes
  std::uint32_t write_buffer_size = 0x200000;  // bytes
  std::uint64_t bytes_per_second = 0;          // of the link, both ways together; 0: as fast as it goes
  std::chrono::milliseconds latency{0};        // of each transfer
  std::set<std::string, std::less<>> without;  // commands ("NOKXFX") and parameters ("SN") that it does not know
  // Benchmarks only: hashes and the catalog are not checked, so that the simulator is not what is measured.
  bool trusts_image = false;
  CatalogCheck check_catalog;
  UfpFaults faults;
};

// Thread-safe.
class VirtualUfpDevice final : public VirtualDevice {
 public:
  // `device.virtual-setup-invalid`, or the errors of VirtualStorage.
  [[nodiscard]] static core::Result<std::shared_ptr<VirtualUfpDevice>> create(UfpOptions options);
  // With a disk that exists already, of options.disk_size.
  [[nodiscard]] static core::Result<std::shared_ptr<VirtualUfpDevice>> create(UfpOptions options,
                                                                              std::shared_ptr<VirtualStorage> storage);

  [[nodiscard]] Outcome receive(core::ByteView transfer) override;
  [[nodiscard]] Reply reply(core::ByteSpan buffer) override;
  void clear_halt() override;
  void power_cut() override;
  [[nodiscard]] devices::UsbIdentity usb_identity() const override;
  [[nodiscard]] std::uint64_t bytes_per_second() const override;
  [[nodiscard]] std::chrono::milliseconds latency() const override { return options_.latency; }
  void set_faults(UfpFaults faults);

  [[nodiscard]] const UfpOptions& options() const { return options_; }  // faults: not while a transfer may happen
  [[nodiscard]] const std::shared_ptr<VirtualStorage>& storage() const { return storage_; }
  // Image bytes that were taken since the first header or the power came.
  [[nodiscard]] std::uint64_t position() const;
  // How many images were taken to their end and confirmed.
  [[nodiscard]] std::uint64_t completed_images() const;

 private:
  enum class State { idle, headers, payload, closing, done };
  // What a kSecureFlash message carries, once its numbers are found sound.
  struct Part {
    bool is_header = false;
    bool is_v1 = false;
    std::uint8_t progress = 0;
    std::uint32_t total = 0;   // of all header pieces
    std::uint32_t offset = 0;  // of this one
    core::ByteView data;
  };
  using Code = std::uint16_t;  // of devices::ufp::kStatusRows; 0: good

  VirtualUfpDevice(UfpOptions options, std::shared_ptr<VirtualStorage> storage);
  [[nodiscard]] bool goes_on(core::ByteView so_far) const;
  Outcome on_message(core::ByteView transfer);
  Outcome on_flash(core::ByteView message);
  [[nodiscard]] Code read_part(core::ByteView message, Part& part) const;
  template <class Head>
  [[nodiscard]] Code read_header_part(core::ByteView message, Part& part) const;
  template <class Head>
  [[nodiscard]] Code read_payload_part(core::ByteView message, Part& part) const;
  [[nodiscard]] bool offers(std::uint16_t protocol) const;
  [[nodiscard]] Code take(const Part& part);
  [[nodiscard]] Code take_header(const Part& part);
  [[nodiscard]] Code finish_headers();
  [[nodiscard]] Code take_payload(const Part& part);
  [[nodiscard]] Code take_closing(const Part& part);
  Code end_image();
  [[nodiscard]] Code refuse(const DeviceFault& fault);
  void answer_flash(bool is_header, Code code);
  Outcome on_switch_mode(core::ByteView message);
  void on_read_parameter(core::ByteView message);
  [[nodiscard]] std::optional<core::ByteBuffer> parameter(std::string_view name) const;
  void on_read_log(core::ByteView message);
  [[nodiscard]] devices::ufp::DeviceInfo info() const;
  void forget_image();
  void answer(core::ByteBuffer bytes);
  void log(std::string_view line);

  UfpOptions options_;
  std::shared_ptr<VirtualStorage> storage_;
  mutable std::mutex mutex_;
  State state_ = State::idle;
  bool is_dead_ = false;
  bool is_v1_ = false;              // how the headers came
  std::uint32_t header_total_ = 0;  // bytes of all header pieces
  core::ByteBuffer header_;         // its pieces so far
  std::uint64_t position_ = 0;      // image bytes
  std::uint64_t image_end_ = 0;     // where the last block's data ends
  std::uint32_t chunk_size_ = 0;
  std::unique_ptr<FfuReceiver> receiver_;
  std::uint64_t completed_images_ = 0;
  core::ByteBuffer unfinished_;  // a message whose end has not come
  std::uint64_t replies_ = 0;
  struct Waiting {
    core::ByteBuffer bytes;
    std::size_t sent = 0;
    bool stall = false;
  };
  std::deque<Waiting> waiting_;
  std::string log_;
};

}  // namespace imprint::virtual_device
