// SPDX-License-Identifier: GPL-3.0-or-later
// Sources and sinks that fail on their Nth call, for every N until the work is done: an error each time.
#include "ffu_probe.hpp"
#include "tests/unit/fixtures/ffu_forms.hpp"

using namespace imprint;
using namespace imprint::ffu::test;

namespace {

// Runs work(n) for n = 1, 2 ... until it succeeds; how many runs failed. Each failure is the fault that was put in.
template <class Work>
int count_failures(Work work) {
  for (int n = 1; n < 100000; ++n) {
    const core::Status status = work(n);
    if (status) return n - 1;
    const std::string id(status.error().id());
    if (id != "io.read-failed" && id != "image.read-failed" && id != "io.write-failed") FAIL(status.error().message());
  }
  FAIL("it never succeeds");
  return 0;
}

}  // namespace

TEST_CASE("opening a file whose reads fail is an error for every read") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const fixture::Image built = fixture::build_image(options);
    const int failures = count_failures([&](int n) -> core::Status {
      FailingSource file(built.file);
      file.fail_from = n;
      IMPRINT_TRY(const auto opened, ffu::open_image(file));
      return {};
    });
    CHECK(failures >= 2);
  }
}

TEST_CASE("verifying, extracting and reading a file whose reads fail is an error for every read") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const fixture::Image built = fixture::build_image(options);
    const std::uint64_t size = options.stores[0].disk_size;
    for (const unsigned threads : {1U, 2U}) {
      const auto with_failing = [&](int n, const auto& work) -> core::Status {
        const auto file = std::make_shared<FailingSource>(built.file);
        const auto opened = std::make_shared<const ffu::OpenedImage>(must(ffu::open_image(*file)));
        file->calls = 0;
        file->fail_from = n;
        return work(file, opened);
      };
      CHECK(count_failures([&](int n) {
              return with_failing(n, [&](const auto& file, const auto& opened) {
                return ffu::verify_units(*opened, *file, threads, {});
              });
            }) >= 1);
      CHECK(count_failures([&](int n) {
              return with_failing(n, [&](const auto& file, const auto& opened) {
                MemorySink out(size);
                const auto map = must(ffu::DiskMap::build(opened->image.stores[0], size));
                return ffu::extract_disk(*opened, *file, map, out, threads, {});
              });
            }) >= 1);
      CHECK(count_failures([&](int n) {
              return with_failing(n, [&](const auto& file, const auto& opened) -> core::Status {
                const auto plain = std::make_shared<ffu::PlainSource>(opened, file);
                const ffu::DescribedDisk disk(must(ffu::DiskMap::build(opened->image.stores[0], size)), plain);
                core::ByteBuffer out(size);
                return disk.read_at(0, out);
              });
            }) >= 1);
    }
  }
}

TEST_CASE("extracting to a disk whose writes fail is an error for every write") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const auto file = must(open(fixture::build_image(options).file));
    const auto map = must(ffu::DiskMap::build(file.image().stores[0], options.stores[0].disk_size));
    for (const unsigned threads : {1U, 2U}) {
      CHECK(count_failures([&](int n) {
              MemorySink out(options.stores[0].disk_size);
              out.fail_from = n;
              return ffu::extract_disk(*file.opened, *file.file, map, out, threads, {});
            }) >= 3);
    }
  }
}

TEST_CASE("writing an image, or its catalog, fails with every read and every write that fails") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const auto original = must(open(fixture::build_image(options).file));
    auto request = request_for(original);
    const auto write_to = [&](int fail_from) -> core::Status {
      MemorySink out;
      out.fail_from = fail_from;
      IMPRINT_TRY(const auto size, ffu::write_image(request, out));
      return size == out.bytes.size() ? core::Status{} : core::fail("io.out-of-range");
    };
    CHECK(count_failures(write_to) >= 2);
    CHECK(count_failures([&](int n) {
            const core::ByteBuffer bytes = must(original.plain->read(0, original.plain->size()));
            FailingSource source(bytes);
            source.fail_from = n;
            for (ffu::StoreToWrite& store : request.stores) store.source = &source;
            return write_to(INT32_MAX);
          }) >= 1);
    CHECK(count_failures([&](int n) -> core::Status {
            MemorySink out;
            out.fail_from = n;
            IMPRINT_TRY(const auto size,
                        ffu::replace_catalog(*original.opened, *original.file, core::ByteBuffer(9000), out));
            return size > 9000 ? core::Status{} : core::fail("io.out-of-range");
          }) >= 2);
  }
}

TEST_CASE("a catalog that cannot be made is the answer, at the first asking and at the last") {
  const auto original = must(open(fixture::small_image().file));
  auto request = request_for(original);
  for (const int fail_at : {1, 2}) {
    int calls = 0;
    request.make_catalog = [&](core::ByteView) -> core::Result<core::ByteBuffer> {
      if (++calls == fail_at) return core::fail("io.read-failed", "the signer went away");
      return core::ByteBuffer(300);
    };
    CHECK(id_of(write(request)) == "io.read-failed");
  }
}

TEST_CASE("writing that is cancelled says so, in each form") {
  for (const auto& [name, options] : fixture::all_forms()) {
    INFO(name);
    const auto original = must(open(fixture::build_image(options).file));
    auto request = request_for(original);
    std::stop_source stop;
    request.stop = stop.get_token();
    request.progress = [&](std::uint64_t, std::uint64_t) { stop.request_stop(); };
    CHECK(id_of(write(request)) == "job.cancelled");
  }
}
