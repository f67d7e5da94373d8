// SPDX-License-Identifier: GPL-3.0-or-later
// Wiping, and reading secrets from files without a copy left behind. Size and mode are those of the open file: its name
// could be another one's by then.
#include "flash/trust/secret.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

constexpr std::uint64_t kMaxLineFile = 4096;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

core::Status read_all(int fd, const std::string& name, core::ByteSpan out) {
  while (!out.empty()) {
    const auto got = ::read(fd, out.data(), out.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::fail_errno(errno, "io.read-failed", name);
    if (got == 0) return core::fail("io.read-failed", "the file became shorter").with("file", name);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

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

core::Result<SecretFile> Secret::read_file(const std::filesystem::path& file, std::uint64_t limit) {
  // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat info{};
  if (in.get() < 0 || ::fstat(in.get(), &info) != 0) return core::fail_errno(errno, "io.open-failed", file.native());
  if (!S_ISREG(info.st_mode)) return core::fail("io.open-failed", "not a file").with("file", file.native());
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size > limit) {
    return core::fail("io.read-failed", "the file is too large for a secret").with("file", file.native());
  }
  Secret out(core::ByteBuffer(static_cast<std::size_t>(size) + 1));
  IMPRINT_CHECK(
      read_all(in.get(), file.native(), core::ByteSpan(out.terminated_).first(static_cast<std::size_t>(size))));
  return SecretFile{std::move(out), info.st_mode & 07777U};
}

core::Result<Secret> Secret::read_line(const std::filesystem::path& file) {
  const auto unreadable = [&file](std::string detail) {
    return fail("sign.secret-unreadable", std::move(detail)).with("file", file.native());
  };
  auto whole = read_file(file, kMaxLineFile);
  if (!whole) return unreadable({}).caused_by(std::move(whole).error());
  if (whole->is_exposed()) {
    return unreadable("others than its owner have access to it; take that away: chmod 600 " +
                      core::printable(file.native()));
  }
  Secret out = std::move(whole->content);
  core::ByteBuffer& bytes = out.terminated_;
  auto end = std::ranges::find(bytes.begin(), bytes.end() - 1, '\n');
  if (end != bytes.begin() && *(end - 1) == '\r') --end;
  // The rest stays in the buffer's memory: wiped before it is out of sight.
  OPENSSL_cleanse(std::to_address(end), static_cast<std::size_t>(bytes.end() - end));
  bytes.erase(end + 1, bytes.end());
  if (out.bytes().empty()) return unreadable("its first line is empty");
  if (out.holds_nul()) return unreadable("there is a NUL byte in it");
  return out;
}

}  // namespace imprint::trust
