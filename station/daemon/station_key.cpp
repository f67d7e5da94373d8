// SPDX-License-Identifier: GPL-3.0-or-later
// The key is asked here, and what becomes of it told once for each change.
#include "station/daemon/station_key.hpp"

#include "flash/trust/pkcs11_uri.hpp"
#include "station/service/errors.hpp"

namespace imprint::daemon {
namespace {

namespace fs = std::filesystem;
constexpr const char* kKeyFile = "station.key";

}  // namespace

core::Status StationKey::open(const station::config::StationFile& station) {
  const fs::path usual = station.records / kKeyFile;
  if (station.key.empty() && !fs::exists(usual)) return {};
  if (trust::is_pkcs11_uri(station.key)) {
    IMPRINT_TRY(key_, HeadKey::on_token(station.key));
  } else {
    auto key = HeadKey::load(station.key.empty() ? usual : fs::path(station.key));
    if (!key && station.key.empty()) return std::unexpected(std::move(key).error());
    if (!key) journal_.log(Level::error, "the station's key cannot be used: heads are NOT SIGNED", key.error());
    if (!key) error_ = std::string(key.error().id()) + ": " + key.error().message();
    if (key) key_ = std::move(*key);
  }
  is_wanted_ = true;
  return {};
}

db::Signer StationKey::signer() {
  if (!is_wanted_) return {};
  return [this](std::string_view text) { return sign(text); };
}

core::Result<std::string> StationKey::sign(std::string_view text) {
  if (!key_) return service::fail("service.key-unusable", error_);
  auto signature = key_->sign(text);
  tell(signature ? nullptr : &signature.error());
  return signature;
}

void StationKey::look() {
  if (!key_) return;
  const auto good = key_->check();
  tell(good ? nullptr : &good.error());
}

void StationKey::tell(const core::Error* error) {
  const bool was_good = is_good_.exchange(error == nullptr);
  if (error != nullptr && was_good)
    journal_.log(Level::error, "the station's key cannot be used: heads are NOT SIGNED", *error);
  if (error == nullptr && !was_good) journal_.log(Level::notice, "the station's key can be used again");
}

station::methods::KeyState StationKey::state() const {
  if (!is_wanted_) return {};
  if (!key_) return {.kind = "file", .error = error_};
  const HeadKeyState state = key_->state();
  return {.kind = state.on_token ? "token" : "file",
          .good = state.good,
          .fingerprint = state.fingerprint,
          .public_key = state.public_key,
          .error = state.error};
}

void StationKey::stop() const {
  if (key_) key_->stop();
}

bool StationKey::hangs() const { return key_ && key_->hangs(); }

}  // namespace imprint::daemon
