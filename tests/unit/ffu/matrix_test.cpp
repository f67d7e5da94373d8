// SPDX-License-Identifier: GPL-3.0-or-later
// The table of what is proved for each form in each direction, by counting the checks as they are made. It goes to
// standard output, and to the file that IMPRINT_FFU_MATRIX names.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>

#include "ffu_probe.hpp"
#include "flash/ffu/write_order.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

const std::vector<std::string> kDirections = {"read",    "write",    "verify",    "extract",    "random",
                                              "to none", "to LZNT1", "to XPRESS", "to Huffman", "reorder",
                                              "move",    "truncate", "bit flip"};

class Matrix {
 public:
  void select(const std::string& form, const std::string& direction) { cell_ = &counts_[{form, direction}]; }
  // One thing that was looked at and found right.
  void check(bool good) {
    REQUIRE(good);
    ++*cell_;
  }
  void leave_out(const std::string& form, const std::string& direction) { counts_[{form, direction}] = kNone; }

  [[nodiscard]] bool complete(const std::vector<fixture::NamedForm>& forms) const {
    return std::ranges::all_of(forms, [&](const auto& form) {
      return std::ranges::all_of(kDirections, [&](const auto& direction) {
        const auto found = counts_.find({form.name, direction});
        return found != counts_.end() && found->second != 0;
      });
    });
  }

  [[nodiscard]] std::string table(const std::vector<fixture::NamedForm>& forms) const {
    std::string out = pad_right("form", 20);
    for (const auto& direction : kDirections) out += pad_left(direction);
    out += '\n';
    for (const auto& form : forms) {
      out += pad_right(form.name, 20);
      for (const auto& direction : kDirections) {
        const int count = counts_.at({form.name, direction});
        out += pad_left(count == kNone ? "-" : std::to_string(count));
      }
      out += '\n';
    }
    return out;
  }

 private:
  static constexpr int kNone = -1;
  static std::string pad_right(const std::string& text, std::size_t width) {
    return text + std::string(width - text.size(), ' ');
  }
  static std::string pad_left(const std::string& text) { return std::string(11 - text.size(), ' ') + text; }
  std::map<std::pair<std::string, std::string>, int> counts_;
  int* cell_ = nullptr;
};

// What a file says and describes against the options that it was made from.
void check_file(Matrix& matrix, const Opened& file, const fixture::FileOptions& options) {
  matrix.check(verify(file).has_value());
  matrix.check(file.image().stores.size() == options.stores.size());
  for (std::size_t i = 0; i < options.stores.size(); ++i) {
    matrix.check(file.image().stores[i].platform_ids == options.stores[i].platform_ids);
    matrix.check(must(extract(file, i, options.stores[i].disk_size)) == fixture::expected_disk(options.stores[i], 0));
  }
}

void check_extraction(Matrix& matrix, const Opened& file, const fixture::FileOptions& options) {
  for (std::size_t i = 0; i < options.stores.size(); ++i) {
    for (const unsigned threads : {1U, 2U}) {
      matrix.check(must(extract(file, i, options.stores[i].disk_size, threads)) ==
                   fixture::expected_disk(options.stores[i], 0));
    }
  }
}

void check_random_reads(Matrix& matrix, const Opened& file, const fixture::FileOptions& options) {
  std::mt19937_64 random(20261121);
  core::ByteBuffer plain(file.image().payload_offset);  // the plain image by the options alone, from the payload on
  for (const fixture::StoreOptions& store : options.stores) {
    for (const fixture::Descriptor& descriptor : store.descriptors) {
      const auto content = fixture::content_of(descriptor, store.block_size);
      plain.insert(plain.end(), content.begin(), content.end());
    }
  }
  const auto equal = [](const core::ByteBuffer& read, const core::ByteBuffer& all, std::uint64_t offset) {
    return std::ranges::equal(read, core::ByteView(all).subspan(offset, read.size()));
  };
  const auto headers = must(file.plain->read(0, file.image().payload_offset));
  matrix.check(std::ranges::equal(headers, file.opened->header_area));
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t offset = file.image().payload_offset + random() % (plain.size() - file.image().payload_offset);
    const std::uint64_t length = random() % std::min<std::uint64_t>(plain.size() - offset, 200000);
    matrix.check(equal(must(file.plain->read(offset, length)), plain, offset));
  }
  for (std::size_t i = 0; i < options.stores.size(); ++i) {
    const auto expected = fixture::expected_disk(options.stores[i], 0);
    const ffu::DescribedDisk disk(must(ffu::DiskMap::build(file.image().stores[i], expected.size())), file.plain);
    for (int round = 0; round < 40; ++round) {
      const std::uint64_t offset = random() % expected.size();
      const std::uint64_t length = random() % std::min<std::uint64_t>(expected.size() - offset, 200000);
      matrix.check(equal(must(disk.read(offset, length)), expected, offset));
    }
  }
}

void check_writing(Matrix& matrix, const Opened& file, const fixture::FileOptions& options) {
  auto request = request_for(file);
  if (file.image().is_compressed()) request.compression = ffu::Compression::xpress_huffman;
  const auto bytes = must(write(request));
  matrix.check(bytes == must(write(request)));
  const auto written = must(open(bytes));
  check_file(matrix, written, options);
  matrix.check(written.image().targets == file.image().targets);
  matrix.check(written.image().manifest_text == file.image().manifest_text);
  for (std::size_t i = 0; i < options.stores.size(); ++i) {
    matrix.check(written.image().stores[i].phases == file.image().stores[i].phases);
    matrix.check(written.image().stores[i].locations == file.image().stores[i].locations);
    matrix.check(written.image().stores[i].device_path == file.image().stores[i].device_path);
    matrix.check(written.image().stores[i].validation_data == file.image().stores[i].validation_data);
  }
}

void check_compressing(Matrix& matrix, const Opened& file, const fixture::FileOptions& options, ffu::Compression to) {
  auto request = request_for(file);
  request.form = ffu::Form::v1_compressed;
  request.compression = to;
  for (ffu::StoreToWrite& store : request.stores) {
    store.store = must(ffu::in_single_blocks(store.store));
    store.store.device_path.clear();
  }
  const auto written = must(open(must(write(request))));
  matrix.check(written.image().is_compressed());
  check_file(matrix, written, options);
  const bool smaller = written.image().payload_end < written.image().plain_size;
  matrix.check(smaller == (to != ffu::Compression::none));  // the wiping block is zeros in every form
}

void check_reordering(Matrix& matrix, const Opened& file, const fixture::FileOptions& options) {
  auto request = request_for(file);
  for (ffu::StoreToWrite& store : request.stores) store.store = must(ffu::in_disk_order(store.store));
  check_file(matrix, must(open(must(write(request)))), options);
}

void check_moving(Matrix& matrix, const Opened& file, const fixture::FileOptions& options) {
  for (const std::size_t catalog : {std::size_t{50}, std::size_t{file.image().chunk_size}, std::size_t{300000}}) {
    MemorySink out;
    must(ffu::replace_catalog(*file.opened, *file.file, core::ByteBuffer(catalog, 5), out));
    const auto moved = must(open(out.bytes));
    matrix.check(moved.image().catalog.size() == catalog);
    check_file(matrix, moved, options);
  }
}

void check_truncation(Matrix& matrix, const fixture::Image& built) {
  const std::size_t size = built.file.size();
  for (std::size_t length = 0; length < size; length += 1 + size / 500) {
    const ViewSource file(core::ByteView(built.file).first(length));
    matrix.check(id_of(ffu::open_image(file)) == "format.truncated");
  }
}

void check_flips(Matrix& matrix, const fixture::Image& built, const fixture::FileOptions& options) {
  core::ByteBuffer bytes = built.file;
  const std::size_t table_end = 32 + options.catalog_size + core::load_le<std::uint32_t>(bytes.data() + 28);
  const auto check = [&](std::size_t at) {
    bytes[at] ^= 0x10;
    const auto file = open(bytes);
    const bool found = !file || !verify(*file);
    // Of a packed block, a bit may say the same in another way.
    matrix.check(found ||
                 must(extract(*file, 0, options.stores[0].disk_size)) == fixture::expected_disk(options.stores[0], 0));
    bytes[at] ^= 0x10;
  };
  for (std::size_t at = 32 + options.catalog_size; at < table_end; at += 1 + bytes.size() / 1000000) check(at);
  for (std::size_t at = built.hashed_offset; at < bytes.size(); at += 1 + bytes.size() / 150) check(at);
}

}  // namespace

TEST_CASE("every form holds in every direction") {
  Matrix matrix;
  const auto forms = fixture::all_forms();
  const std::pair<const char*, ffu::Compression> compressions[] = {{"to none", ffu::Compression::none},
                                                                   {"to LZNT1", ffu::Compression::lznt1},
                                                                   {"to XPRESS", ffu::Compression::xpress},
                                                                   {"to Huffman", ffu::Compression::xpress_huffman}};
  for (const auto& [name, options] : forms) {
    INFO(name);
    const fixture::Image built = fixture::build_image(options);
    const auto file = must(open(built.file));
    matrix.select(name, "read");
    matrix.check(file.image().payload_offset == built.payload_offset);
    check_file(matrix, file, options);
    matrix.select(name, "verify");
    for (const unsigned threads : {1U, 2U, 4U}) matrix.check(verify(file, threads).has_value());
    matrix.select(name, "extract");
    check_extraction(matrix, file, options);
    matrix.select(name, "random");
    check_random_reads(matrix, file, options);
    matrix.select(name, "write");
    check_writing(matrix, file, options);
    for (const auto& [direction, compression] : compressions) {
      if (options.stores.size() > 1) {  // a compressed image has one store
        matrix.leave_out(name, direction);
        continue;
      }
      matrix.select(name, direction);
      check_compressing(matrix, file, options, compression);
    }
    matrix.select(name, "reorder");
    check_reordering(matrix, file, options);
    matrix.select(name, "move");
    check_moving(matrix, file, options);
    matrix.select(name, "truncate");
    check_truncation(matrix, built);
    matrix.select(name, "bit flip");
    check_flips(matrix, built, options);
  }
  REQUIRE(matrix.complete(forms));
  const std::string table = matrix.table(forms);
  std::fputs(table.c_str(), stdout);
  if (const char* path = std::getenv("IMPRINT_FFU_MATRIX")) {
    std::ofstream out(path);
    out << table;
    out.close();
    REQUIRE(out.good());
  }
}
