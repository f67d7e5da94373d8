// SPDX-License-Identifier: GPL-3.0-or-later
// Digests that the formats ask for, by OpenSSL: SHA-256 of chunks, SHA-1 of hash tables, CRC-32 of GPT and packets.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "flash/core/bytes.hpp"

namespace imprint::core {

using Sha1 = std::array<std::uint8_t, 20>;
using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha1 sha1(ByteView data);
[[nodiscard]] Sha256 sha256(ByteView data);

// SHA-256 over pieces. Not thread-safe; one for each stream.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  void update(ByteView data);
  // The digest of everything so far; the stream starts anew.
  [[nodiscard]] Sha256 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// CRC-32 as in GPT headers and Simple I/O packets (reflected 0xEDB88320); pass the last value to go on.
[[nodiscard]] std::uint32_t crc32(ByteView data, std::uint32_t previous = 0);

}  // namespace imprint::core
