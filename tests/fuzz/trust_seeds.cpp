// SPDX-License-Identifier: GPL-3.0-or-later
// What the trust fuzzers begin with: catalogs that the product made itself, unsigned, signed and timestamped, and a
// timestamp alone. The keys are new each time.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <utility>

#include "flash/core/block_io.hpp"
#include "flash/trust/signing.hpp"
#include "trust_seed.hpp"

namespace {

using namespace imprint;

core::Status write_file(const std::filesystem::path& path, core::ByteView bytes) {
  IMPRINT_TRY(const auto sink, core::FileSink::create(path, 0));
  IMPRINT_CHECK(sink->write_at(0, bytes));
  return sink->flush();
}

core::Status write_all(const std::filesystem::path& folder) {
  const core::ByteBuffer table(64, 0x5A);
  IMPRINT_TRY(const auto sha1, trust::build_catalog(table, core::UtcTime{}, trust::DigestAlgorithm::sha1));
  IMPRINT_TRY(const auto sha256, trust::build_catalog(table, core::UtcTime{}, trust::DigestAlgorithm::sha256));
  const fuzz::TrustSeed& seed = fuzz::trust_seed();
  const std::pair<const char*, core::ByteView> files[] = {{"catalog/sha1.cat", sha1},
                                                          {"catalog/sha256.cat", sha256},
                                                          {"catalog/signed.cat", seed.catalog},
                                                          {"catalog/stamped.cat", seed.stamped},
                                                          {"timestamp/token.der", seed.token}};
  for (const auto& [name, bytes] : files) IMPRINT_CHECK(write_file(folder / name, bytes));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_trust_seeds FOLDER\n");
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    for (const char* name : {"catalog", "timestamp"}) std::filesystem::create_directories(folder / name);
    const auto status = write_all(folder);
    if (status) return 0;
    std::fprintf(stderr, "make_trust_seeds: %s\n", status.error().message().c_str());
  } catch (const std::exception& problem) {  // the fixtures' and the file system's
    std::fprintf(stderr, "make_trust_seeds: %s\n", problem.what());
  }
  return 4;
}
