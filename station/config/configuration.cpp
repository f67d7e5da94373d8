// SPDX-License-Identifier: GPL-3.0-or-later
// Files out of several folders.
#include "station/config/configuration.hpp"

#include <algorithm>
#include <map>
#include <system_error>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "station/config/toml_value.hpp"

namespace imprint::station::config {
namespace {

namespace fs = std::filesystem;

// The usual way to mask a file.
bool is_null_device(const fs::path& path) {
  std::error_code error;
  return fs::canonical(path, error) == "/dev/null";
}

// An empty text where the file takes one of its name away.
core::Result<std::string> read_config(const fs::path& path) {
  if (is_null_device(path)) return std::string();
  return core::read_text_file(path, kMaxTomlBytes);
}

core::Result<bool> is_there(const fs::path& path) {
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return false;
  if (error) return core::fail_errno(error.value(), "io.read-failed", path.native());
  return true;
}

core::Status read_station(const std::vector<fs::path>& folders, Configuration& out) {
  fs::path last;
  for (const fs::path& folder : folders) {
    IMPRINT_TRY(const bool there, is_there(folder / "station.toml"));
    if (there) last = folder / "station.toml";
  }
  if (last.empty()) return {};
  IMPRINT_TRY(const std::string text, read_config(last));
  if (text.empty()) return {};
  out.files.push_back(last);
  auto parsed = parse_station_file(text, last);
  if (parsed.value) out.station = std::move(*parsed.value);
  std::ranges::move(parsed.complaints, std::back_inserter(out.complaints));
  return {};
}

core::Result<std::map<std::string, fs::path>> product_files(const std::vector<fs::path>& folders) {
  std::map<std::string, fs::path> files;  // by name: a later folder's file hides an earlier one's
  for (const fs::path& folder : folders) {
    const fs::path products = folder / "products";
    std::error_code error;
    for (fs::directory_iterator it(products, error); !error && it != fs::directory_iterator(); it.increment(error)) {
      if (it->path().extension() == ".toml") files[it->path().filename().native()] = it->path();
    }
    if (error && error != std::errc::no_such_file_or_directory)
      return core::fail_errno(error.value(), "io.read-failed", products.native());
  }
  return files;
}

// The laxer, the larger.
int laxness(trust::Policy policy) { return static_cast<int>(policy); }
static_assert(trust::Policy::retail < trust::Policy::test && trust::Policy::test < trust::Policy::none);

void add_product(ProductFile product, Configuration& out) {
  if (const ProductFile* other = out.find(product.name)) {
    out.complaints.push_back({product.file,
                              place_of(product.places, "product"),
                              fail("config.product-twice", product.name).with("first", other->file.native()).error(),
                              {}});
    return;
  }
  if (laxness(product.policy) > laxness(out.station.policy)) {
    out.complaints.push_back(
        {product.file, place_of(product.places, "image.policy"),
         fail("config.conflict", "image.policy is laxer than the station's")
             .with("product", trust::to_string(product.policy))
             .with("station", trust::to_string(out.station.policy))
             .error(),
         "write policy = \"" + std::string(trust::to_string(out.station.policy)) + "\" in [image]"});
    return;
  }
  out.products.push_back(std::move(product));
}

}  // namespace

const ProductFile* Configuration::find(std::string_view product) const {
  const auto found = std::ranges::find(products, product, &ProductFile::name);
  return found == products.end() ? nullptr : &*found;
}

std::vector<fs::path> usual_config_folders() {
  std::error_code error;
  const fs::path program = fs::canonical("/proc/self/exe", error);
  fs::path prefix = error ? fs::path("/usr") : program.parent_path().parent_path();
  // A program in a build folder has no share folder beside it; the package's is asked then.
  if (!fs::is_directory(prefix / "share/imprint", error)) prefix = "/usr";
  return {prefix / "share/imprint", "/etc/imprint"};
}

core::Result<Configuration> load_configuration(const std::vector<fs::path>& folders,
                                               std::span<const core::ErrorRow> known_errors) {
  Configuration out;
  IMPRINT_CHECK(read_station(folders, out));
  IMPRINT_TRY(const auto files, product_files(folders));
  for (const auto& [name, path] : files) {
    IMPRINT_TRY(const std::string text, read_config(path));
    if (text.empty()) continue;
    out.files.push_back(path);
    auto parsed = parse_product_file(text, path, known_errors);
    std::ranges::move(parsed.complaints, std::back_inserter(out.complaints));
    if (parsed.value) add_product(std::move(*parsed.value), out);
  }
  std::ranges::sort(out.products, {}, &ProductFile::name);
  for (const fs::path& folder : folders) out.slot_folders.push_back(folder / "slots.d");
  return out;
}

}  // namespace imprint::station::config
