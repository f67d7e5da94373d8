// SPDX-License-Identifier: GPL-3.0-or-later
// imprint station check.
#include "station/cli/station_check.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <optional>

#include "flash/core/atomic_file.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "flash/disk/device_layout.hpp"
#include "flash/engine/verified_image.hpp"
#include "station/cli/station_commands.hpp"
#include "station/config/toml_value.hpp"
#include "station/error_table.hpp"
#include "station/images/errors.hpp"
#include "station/images/image_store.hpp"
#include "station/slot_map.hpp"

namespace imprint::station::cli {
namespace {

namespace fs = std::filesystem;
using config::Complaint;
using config::ProductFile;

std::uint32_t number_in(const core::Error& error, std::string_view key) {
  const std::string_view text = error.context_value(key);
  std::uint32_t value = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && stop == text.data() + text.size() ? value : 0;
}

// A fault of the file that the error names, where it names one with a line; of `file` otherwise.
Complaint as_complaint(const fs::path& file, const core::Error& error) {
  const std::uint32_t line = number_in(error, "line");
  const std::string_view named = error.context_value("file");
  if (line != 0 && !named.empty()) return {fs::path(named), {line, 1}, error, {}};
  return {file, {}, error, {}};
}

// A path of a product's or a station's file that leads to nothing good.
template <class File>
Complaint unusable(const File& file, std::string_view setting, const fs::path& named, const core::Error& cause) {
  auto failure = config::fail("config.file-unusable", std::string(setting)).with("file", named.native());
  const fs::path where = file.file.empty() ? fs::path("station.toml") : file.file;
  return {where, config::place_of(file.places, setting), std::move(failure).caused_by(cause).error(), {}};
}

class Check {
 public:
  Check(CheckedConfiguration& out, core::UtcTime now) : out_(out), now_(now) {}

  void run() {
    check_slots();
    check_zone();
    check_trust();
    open_store();
    for (const ProductFile& product : configuration().products) {
      check_rules(product);
      check_stored_image(product);
      check_image_file(product);
    }
  }

 private:
  [[nodiscard]] const config::Configuration& configuration() const { return out_.configuration; }
  [[nodiscard]] fs::path station_file() const {
    const config::StationFile& station = configuration().station;
    return station.file.empty() ? fs::path("station.toml") : station.file;
  }
  void add(Complaint complaint) { out_.complaints.push_back(std::move(complaint)); }

  void check_slots() {
    const auto map = SlotMap::load(configuration().slot_folders);
    if (map) {
      out_.slot_lines = map->rules().size();
    } else {
      add(as_complaint(station_file(), map.error()));
    }
  }

  void check_zone() {
    const std::string& zone = configuration().station.zone;
    const fs::path zones = "/usr/share/zoneinfo";
    std::error_code error;
    if (zone.empty() || !fs::is_directory(zones, error) || fs::is_regular_file(zones / zone, error)) return;
    add({station_file(), config::place_of(configuration().station.places, "station.zone"),
         config::fail("config.value-invalid", "station.zone: this machine does not know " + zone).error(),
         "write a zone that timedatectl list-timezones shows"});
  }

  void check_trust() {
    if (configuration().station.policy == trust::Policy::none) return;
    auto loaded = trust::TrustStore::load(configuration().station.trust);
    if (loaded) {
      trust_ = std::move(*loaded);
    } else {
      add(unusable(configuration().station, "folders.trust", configuration().station.trust, loaded.error()));
    }
  }

  void open_store() {
    const fs::path& folder = configuration().station.images;
    std::error_code error;
    if (!fs::exists(folder, error) && !error) return;  // a station that was not set up yet
    auto opened = images::ImageStore::open_to_read(folder);
    if (opened) {
      store_ = std::move(*opened);
    } else {
      add(unusable(configuration().station, "folders.images", folder, opened.error()));
    }
  }

  void check_rules(const ProductFile& product) {
    if (product.layout) {
      if (auto read = disk::read_device_layout(*product.layout); !read)
        add(unusable(product, "rules.layout", *product.layout, read.error()));
    }
    if (product.platform) {
      if (auto read = disk::read_device_platform(*product.platform); !read)
        add(unusable(product, "rules.platform", *product.platform, read.error()));
    }
  }

  void check_stored_image(const ProductFile& product) {
    if (product.image_digest.empty()) return;
    core::Error why = images::fail("store.image-missing", "there is no store yet").error();
    if (store_) {
      const auto opened = store_->open_image(product.image_digest);
      if (opened) return;
      why = opened.error();
    }
    add({product.file,
         config::place_of(product.places, "image.digest"),
         config::fail("config.image-missing").with("digest", product.image_digest).caused_by(why).error(),
         {}});
  }

  // Headers and signature; every byte is verified when the image is admitted.
  void check_image_file(const ProductFile& product) {
    if (!product.image_file) return;
    const auto judge = [&]() -> core::Status {
      IMPRINT_TRY(std::shared_ptr<const core::BlockSource> source, core::FileSource::open(*product.image_file));
      IMPRINT_TRY(const auto image, engine::VerifiedImage::open(std::move(source)));
      if (!product.image_digest.empty() && image->identity() != product.image_digest) {
        return config::fail("config.conflict", "the file is another image than the digest names")
            .with("expected", product.image_digest)
            .with("actual", image->identity());
      }
      if (!trust_ && product.policy != trust::Policy::none) return {};  // said already
      const auto nobody = trust::TrustStore::empty();
      const auto decision = trust::decide(image->image(), product.policy, trust_ ? *trust_ : nobody, now_);
      return decision.accepted ? core::Status() : std::unexpected(decision.refusal());
    };
    if (auto judged = judge(); !judged) add(unusable(product, "image.file", *product.image_file, judged.error()));
  }

  CheckedConfiguration& out_;
  core::UtcTime now_;
  std::optional<trust::TrustStore> trust_;
  std::unique_ptr<images::ImageStore> store_;
};

std::string to_json(const CheckedConfiguration& checked) {
  boost::json::array files;
  for (const fs::path& file : checked.configuration.files) files.emplace_back(core::printable(file.native()));
  boost::json::array products;
  for (const ProductFile& product : checked.configuration.products) {
    const auto digest = product.digest();
    products.push_back(boost::json::object{{"product", product.name},
                                           {"file", core::printable(product.file.native())},
                                           {"digest", digest ? boost::json::value(*digest) : nullptr}});
  }
  boost::json::array faults;
  for (const Complaint& complaint : checked.complaints) {
    faults.push_back(boost::json::object{{"file", core::printable(complaint.file.native())},
                                         {"line", complaint.place.line},
                                         {"column", complaint.place.column},
                                         {"id", complaint.error.id()},
                                         {"text", core::printable(complaint.error.message())},
                                         {"remedy", complaint.remedy()}});
  }
  return boost::json::serialize(boost::json::object{{"verdict", checked.complaints.empty() ? "pass" : "fail"},
                                                    {"station", checked.configuration.station.id},
                                                    {"files", std::move(files)},
                                                    {"products", std::move(products)},
                                                    {"slot_lines", checked.slot_lines},
                                                    {"faults", std::move(faults)}});
}

}  // namespace

core::Result<CheckedConfiguration> check_configuration(const std::vector<fs::path>& folders, core::UtcTime now) {
  const std::vector<core::ErrorRow> rows = all_error_rows();
  CheckedConfiguration out;
  IMPRINT_TRY(out.configuration, config::load_configuration(folders, rows));
  out.complaints = out.configuration.complaints;
  Check(out, now).run();
  return out;
}

ExitStatus station_check(const StationCheckOptions& options) {
  for (const fs::path& folder : options.folders) {
    std::error_code error;
    if (fs::is_directory(folder, error)) continue;
    return report_error(core::fail_errno(error ? error.value() : ENOTDIR, "io.not-found", folder.native()).error(),
                        options.json);
  }
  const auto folders = options.folders.empty() ? config::usual_config_folders() : options.folders;
  const auto checked = check_configuration(folders, core::SystemClock().now());
  if (!checked) return report_error(checked.error(), options.json);
  const std::size_t faults = checked->complaints.size();
  if (options.json) {
    print_line(to_json(*checked));
    return faults == 0 ? ExitStatus::good : ExitStatus::not_good;
  }
  for (const Complaint& complaint : checked->complaints) print_line(complaint.to_line());
  print_line(fmt::format("{} files, {} products, {} lines of slots: {}", checked->configuration.files.size(),
                         checked->configuration.products.size(), checked->slot_lines,
                         faults == 0 ? "nothing to complain of" : fmt::format("{} faults", faults)));
  return faults == 0 ? ExitStatus::good : ExitStatus::not_good;
}

}  // namespace imprint::station::cli
