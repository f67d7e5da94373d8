// SPDX-License-Identifier: GPL-3.0-or-later
// One image on its way into one UFP device: the headers, then the payload, each message confirmed before the next.
#pragma once

#include <stop_token>

#include "devices/protocol/ufp_connection.hpp"
#include "flash/engine/target.hpp"

namespace imprint::devices::ufp {

// Where an image's parts lie, in bytes of the file.
struct ImageLayout {
  std::uint32_t hashed_offset = 0;  // where chunk 0 begins
  std::uint32_t header_size = 0;    // everything before the payload
  std::uint32_t chunk_size = 0;
};
// The errors of the FFU parser and of the image. Parsed once for all targets of an image.
[[nodiscard]] core::Result<ImageLayout> layout_of(engine::ImageStream& image);

// Used once, by one thread.
class FlashJob {
 public:
  FlashJob(Connection& connection, engine::ImageStream& image, ImageLayout layout, engine::TransferObserver& observer,
           std::stop_token stop);
  // Good only when the device said that it is done. V2 where the device offers it, and V1 where it does not, or turns
  // out not to know V2. `device.unsupported-command` where it knows neither.
  [[nodiscard]] core::Status run(const DeviceInfo& info);

 private:
  enum class Answer { taken, unknown_message, other_protocol };
  [[nodiscard]] core::Status run_v1();
  [[nodiscard]] core::Result<Answer> run_v2(std::uint32_t piece);
  [[nodiscard]] core::Result<Answer> send_headers_v2(std::uint16_t protocol, std::uint32_t piece);
  template <class Payload>
  [[nodiscard]] core::Status send_payload(std::uint32_t piece);
  // The reply to zeros behind the payload, where the reply to its last part did not say that all is done.
  [[nodiscard]] core::Status close();
  // Puts the head and the image's bytes behind it (zeros behind the image's end) together and sends them.
  template <class Head>
  [[nodiscard]] core::Result<core::ByteView> send(const Head& head, std::uint64_t offset, std::uint32_t length);
  [[nodiscard]] core::Status check_stop(std::uint64_t offset) const;
  [[nodiscard]] std::uint8_t percent(std::uint64_t done) const;
  void tell(std::uint64_t done);

  Connection* connection_;
  engine::ImageStream* image_;
  ImageLayout layout_;
  engine::TransferObserver* observer_;
  std::stop_token stop_;
  std::uint64_t end_;  // of the image, its last chunk filled up with zeros as the hash table has it
  core::ByteBuffer buffer_;
};

}  // namespace imprint::devices::ufp
