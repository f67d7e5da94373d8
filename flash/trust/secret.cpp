// SPDX-License-Identifier: GPL-3.0-or-later
// Wiping, and reading secrets from files without a copy left behind.
#include "flash/trust/secret.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "flash/core/block_io.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

constexpr std::uint64_t kMaxLineFile = 4096;

}  // namespace

Secret::Secret(Secret&& other) noexcept : terminated_(std::exchange(other.terminated_, {})) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  terminated_ = std::exchange(other.terminated_, {});
  return *this;
}

Secret::~Secret() { wipe(); }

void Secret::wipe() { OPENSSL_cleanse(terminated_.data(), terminated_.size()); }

core::ByteView Secret::bytes() const {
  return core::ByteView(terminated_).first(terminated_.empty() ? 0 : terminated_.size() - 1);
}

const char* Secret::c_str() const {
  if (terminated_.empty()) return "";
  return reinterpret_cast<const char*>(terminated_.data());  // char and uint8_t may alias
}

bool Secret::holds_nul() const { return std::ranges::find(bytes(), 0) != bytes().end(); }

Secret Secret::take(std::string&& text) {
  const core::ByteView bytes = core::as_bytes(text);
  core::ByteBuffer terminated(bytes.size() + 1);
  std::ranges::copy(bytes, terminated.begin());
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
  return Secret(std::move(terminated));
}

core::Result<Secret> Secret::read_file(const std::filesystem::path& file, std::uint64_t limit) {
  IMPRINT_TRY(const auto source, core::FileSource::open(file));
  const std::uint64_t size = source->size();
  if (size > limit) {
    return core::fail("io.read-failed", "the file is too large for a secret").with("file", file.native());
  }
  Secret out(core::ByteBuffer(static_cast<std::size_t>(size) + 1));
  IMPRINT_CHECK(source->read_at(0, core::ByteSpan(out.terminated_).first(static_cast<std::size_t>(size))));
  return out;
}

core::Result<Secret> Secret::read_line(const std::filesystem::path& file) {
  const auto unreadable = [&file](std::string detail) {
    return fail("sign.secret-unreadable", std::move(detail)).with("file", file.native());
  };
  auto out = read_file(file, kMaxLineFile);
  if (!out) return unreadable({}).caused_by(std::move(out).error());
  core::ByteBuffer& bytes = out->terminated_;
  auto end = std::ranges::find(bytes.begin(), bytes.end() - 1, '\n');
  if (end != bytes.begin() && *(end - 1) == '\r') --end;
  // The rest stays in the buffer's memory: wiped before it is out of sight.
  OPENSSL_cleanse(std::to_address(end), static_cast<std::size_t>(bytes.end() - end));
  bytes.erase(end + 1, bytes.end());
  if (out->bytes().empty()) return unreadable("its first line is empty");
  if (out->holds_nul()) return unreadable("there is a NUL byte in it");
  return out;
}

}  // namespace imprint::trust
