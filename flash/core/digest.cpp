// SPDX-License-Identifier: GPL-3.0-or-later
// OpenSSL and zlib behind the digest functions.
#include "flash/core/digest.hpp"

#include <openssl/evp.h>
#include <zlib.h>

#include <cstdlib>

namespace imprint::core {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> digest(const EVP_MD* algorithm, ByteView data) {
  std::array<std::uint8_t, N> out{};
  // Fails only when memory is gone or the algorithm is not there; going on with a wrong digest would be worse than
  // stopping.
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, algorithm, nullptr) != 1) std::abort();
  return out;
}

}  // namespace

Sha1 sha1(ByteView data) { return digest<20>(EVP_sha1(), data); }
Sha256 sha256(ByteView data) { return digest<32>(EVP_sha256(), data); }

struct Sha256Stream::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { start(); }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void start() const {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) std::abort();
  }
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {}
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;

void Sha256Stream::update(ByteView data) {
  if (EVP_DigestUpdate(state_->context, data.data(), data.size()) != 1) std::abort();
}

Sha256 Sha256Stream::finish() {
  Sha256 out{};
  if (EVP_DigestFinal_ex(state_->context, out.data(), nullptr) != 1) std::abort();
  state_->start();
  return out;
}

std::uint32_t crc32(ByteView data, std::uint32_t previous) {
  if (data.empty()) return previous;  // zlib takes a null pointer as "start anew" and would forget `previous`
  return static_cast<std::uint32_t>(::crc32_z(previous, data.data(), data.size()));
}

}  // namespace imprint::core
