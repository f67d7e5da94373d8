// SPDX-License-Identifier: GPL-3.0-or-later
// The independent judges of this folder's tests: osslsigncode and openssl, and certificates that they can judge by the
// machine's own clock.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flash/core/process.hpp"
#include "pki.hpp"

namespace imprint::trust::testing {

inline core::Result<std::string> run_tool(std::vector<std::string> arguments) {
  core::SystemProcessRunner runner;
  return runner.run({.arguments = std::move(arguments), .environment = {}, .limit = std::chrono::seconds(30)});
}

inline core::Result<std::string> osslsigncode(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "osslsigncode");
  return run_tool(std::move(arguments));
}

inline std::string output_of(const core::Result<std::string>& result) {
  return result ? *result : result.error().message();
}

// Certificates that are valid by the machine's own clock, which osslsigncode goes by.
struct Today {
  core::UtcTime now = core::SystemClock().now();
  TempFolder folder;
  Issued root = issue(at(authority_spec("root of today")), nullptr);
  Issued middle = issue(at(authority_spec("authority of today")), &root);
  [[nodiscard]] CertificateSpec at(CertificateSpec spec) const {
    spec.not_before = now - days(1);
    spec.not_after = now + days(1);
    return spec;
  }
  [[nodiscard]] std::string path(const char* name) const { return (folder.path() / name).native(); }
};

inline core::ByteBuffer bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace imprint::trust::testing
