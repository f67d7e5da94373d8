// SPDX-License-Identifier: GPL-3.0-or-later
// A passphrase, a PIN or the text of a key file: bytes that are wiped when they are no longer needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::trust {

struct SecretFile;

// Cannot be copied, and nothing prints it. A moved-from secret is empty.
class Secret {
 public:
  // Takes over what the text holds and wipes the text.
  [[nodiscard]] static Secret take(std::string&& text);
  // The first line of a file, as passphrases and PINs are kept. `sign.secret-unreadable` also for a file that others
  // than its owner have access to, an empty line, a NUL byte, and a file of over 4 KiB.
  [[nodiscard]] static core::Result<Secret> read_line(const std::filesystem::path& file);
  // A whole file: a key. `io.*`; one of over `limit` bytes is refused before it is read.
  [[nodiscard]] static core::Result<SecretFile> read_file(const std::filesystem::path& file, std::uint64_t limit);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  // Both are valid until the secret goes.
  [[nodiscard]] core::ByteView bytes() const;
  [[nodiscard]] const char* c_str() const;
  // A NUL byte within: functions that take a C string would stop there.
  [[nodiscard]] bool holds_nul() const;

 private:
  explicit Secret(core::ByteBuffer terminated) : terminated_(std::move(terminated)) {}
  void wipe();

  core::ByteBuffer terminated_;  // with a NUL at the end; empty once moved from
};

struct SecretFile {
  Secret content;
  unsigned mode = 0;  // permission bits of the file that was read
  // What others than the owner could have read is no secret.
  [[nodiscard]] bool is_exposed() const { return (mode & 077U) != 0; }
};

}  // namespace imprint::trust
