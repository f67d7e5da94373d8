// SPDX-License-Identifier: GPL-3.0-or-later
// What a recorder writes, what it keeps and for how long, and that it never stands in the way of a job.
#include "devices/capture/recorder.hpp"

#include <sys/resource.h>

#include <csignal>

#include "devices/capture/port_history.hpp"
#include "flash/core/atomic_file.hpp"
#include "tests/unit/capture/capture_fixture.hpp"

using namespace imprint;
using namespace imprint::capture;
using namespace imprint::capture_fixture;

namespace {

struct Bench {
  core::test::ScratchFolder folder;
  std::unique_ptr<Recorder> recorder;

  explicit Bench(bool whole = true, bool kept = true) {
    RecorderSetup setup;
    if (whole) setup.file = folder / "all.pcapng";
    if (kept) setup.kept_folder = folder / "kept";
    setup.program = "a test";
    recorder = Recorder::open(std::move(setup)).value();
  }
  [[nodiscard]] std::unique_ptr<devices::Transport> connect(EasyTransport** inner = nullptr,
                                                            const devices::PortPath& port = kPort) const {
    auto transport = std::make_unique<EasyTransport>();
    if (inner != nullptr) *inner = transport.get();
    return recorder->tap()(port, simple_io_identity(), std::move(transport));
  }
  [[nodiscard]] RecordedAttempt only_attempt() const {
    REQUIRE_FALSE(recorder->trouble());
    const auto recording = read_recording(file_of(folder / "all.pcapng"));
    REQUIRE(recording);
    REQUIRE((*recording)->attempts().size() == 1);
    return (*recording)->attempts()[0];
  }
};

Outcome failed(const std::string& attempt = "1") { return {.verdict = "failed", .attempt = attempt}; }

}  // namespace

TEST_CASE("every call becomes a transfer, with the device's ids and serial in front") {
  const Bench bench;
  EasyTransport* inner = nullptr;
  const auto transport = bench.connect(&inner);
  inner->answer = {7, 8, 9};
  core::ByteBuffer buffer(64);
  REQUIRE(transport->control_line_state(soon()));
  REQUIRE(transport->write(core::ByteBuffer{1, 2}, soon()));
  REQUIRE(transport->write_pieces(core::ByteBuffer(10, 3), 4, soon()));
  REQUIRE(transport->read(buffer, soon()));
  REQUIRE(transport->clear(soon()));
  const RecordedAttempt attempt = bench.only_attempt();
  CHECK(attempt.port == kPort);
  REQUIRE(attempt.connections.size() == 1);
  CHECK(attempt.connections[0].identity.vendor_id == 0x045E);
  CHECK(attempt.connections[0].identity.product_id == 0x062A);
  CHECK(attempt.connections[0].identity.serial == "Serial One");
  const auto& transfers = attempt.connections[0].transfers;
  REQUIRE(transfers.size() == 8);
  CHECK(transfers[0].setup == request::kLineState);
  CHECK(transfers[1].asked == 2);
  CHECK(transfers[2].asked == 4);
  CHECK(transfers[4].asked == 2);
  CHECK(transfers[5].kind == TransferKind::bulk_in);
  CHECK(transfers[5].asked == 64);
  CHECK(transfers[5].kept == 3);
  CHECK(request::is_clear_halt(transfers[6].setup));
  CHECK(transfers[7].setup[4] == 0x01);
}

TEST_CASE("a call that fails is recorded with the status that Linux gives it, and fails all the same") {
  using Case = std::pair<core::Error, std::int32_t>;
  const auto& [error, status] = GENERATE(Case{devices::fail("device.timed-out").error(), usbmon::kUnlinked},
                                         Case{devices::fail("device.stalled").error(), usbmon::kStalled},
                                         Case{devices::fail("device.disconnected").error(), usbmon::kNoDevice},
                                         Case{devices::fail("device.transfer-failed").error(), usbmon::kBusError},
                                         Case{core::fail("job.cancelled").error(), usbmon::kCancelled});
  const Bench bench;
  EasyTransport* inner = nullptr;
  const auto transport = bench.connect(&inner);
  inner->error = error;
  core::ByteBuffer buffer(8);
  CHECK(error_id(transport->write(core::ByteBuffer{1}, soon())) == error.id());
  CHECK(error_id(transport->write_pieces(core::ByteBuffer(9, 1), 2, soon())) == error.id());
  CHECK(error_id(transport->read(buffer, soon())) == error.id());
  CHECK(error_id(transport->clear(soon())) == error.id());
  CHECK(error_id(transport->control_line_state(soon())) == error.id());
  const RecordedAttempt attempt = bench.only_attempt();
  REQUIRE(attempt.transfers() == 6);
  for (const auto& transfer : attempt.connections[0].transfers) CHECK(transfer.status == status);
  CHECK(attempt.connections[0].transfers[1].asked == 9);  // which pieces arrived is not known
}

TEST_CASE("ports, attempts and connections of one file are told apart") {
  const Bench bench;
  const devices::PortPath other{"3-1"};
  for (const devices::PortPath& port : {kPort, other}) {
    for (int connection = 0; connection < 2; ++connection)
      REQUIRE(bench.connect(nullptr, port)->write(core::ByteBuffer{1}, soon()));
    static_cast<void>(bench.recorder->finish(port, {.verdict = "passed", .attempt = "1"}));
  }
  REQUIRE(bench.connect()->write(core::ByteBuffer{1}, soon()));
  static_cast<void>(bench.recorder->finish(kPort, failed("9")));
  REQUIRE_FALSE(bench.recorder->trouble());
  const auto recording = read_recording(file_of(bench.folder / "all.pcapng")).value();
  REQUIRE(recording->attempts().size() == 3);
  CHECK(recording->attempts()[0].connections.size() == 2);
  CHECK(recording->attempts()[1].port == other);
  CHECK(recording->attempts()[2].port == kPort);
  CHECK(recording->attempts()[2].outcome->attempt == "9");
  CHECK(recording->program() == "a test");
}

TEST_CASE("a recording never takes the place of a file, and an empty one is not left behind") {
  core::test::ScratchFolder folder;
  RecorderSetup setup{folder / "a.pcapng", {}, "a test"};
  {
    const auto first = Recorder::open(setup);
    REQUIRE(first);
    CHECK(error_id(Recorder::open(setup)) == "capture.file-exists");
  }
  CHECK_FALSE(std::filesystem::exists(folder / "a.pcapng"));
}

TEST_CASE("a disk that is full ends the recording with a whole block, and never the job") {
  const Bench bench(true, false);
  const auto transport = bench.connect();
  const core::ByteBuffer data(1000, 0x11);
  REQUIRE(transport->write(data, soon()));
  REQUIRE_FALSE(bench.recorder->trouble());
  // Files of this process may not grow any further: what a full disk does, without one.
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit limit = before;
  limit.rlim_cur = std::filesystem::file_size(bench.folder / "all.pcapng") + 500;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  const bool written = transport->write(data, soon()).has_value();
  const bool written_after = transport->write(data, soon()).has_value();
  const auto trouble = bench.recorder->trouble();
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, ignored);
  CHECK(written);
  CHECK(written_after);
  REQUIRE(trouble);
  CHECK(trouble->id().starts_with("io."));
  const auto recording = read_recording(file_of(bench.folder / "all.pcapng")).value();
  CHECK_FALSE(recording->is_cut_off());
  CHECK(recording->attempts()[0].transfers() == 1);
}

TEST_CASE("a file that cannot be begun is not left behind, so that its name is free") {
  core::test::ScratchFolder folder;
  const RecorderSetup setup{folder / "a.pcapng", {}, "a test"};
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit limit = before;
  limit.rlim_cur = 10;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  const auto refused = Recorder::open(setup);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, ignored);
  CHECK(error_id(refused).starts_with("io."));
  CHECK_FALSE(std::filesystem::exists(folder / "a.pcapng"));
  CHECK(Recorder::open(setup));
}

TEST_CASE("a kept recording takes the place of none, of the same attempt of other records neither") {
  const Bench bench(false);
  std::vector<std::filesystem::path> paths;
  for (std::uint8_t i = 0; i < 3; ++i) {
    REQUIRE(bench.connect()->write(core::ByteBuffer{i}, soon()));
    paths.push_back(bench.recorder->finish(kPort, failed("1")).value());
  }
  CHECK(paths[0].filename() == "attempt-1.pcapng");
  CHECK(paths[1].filename() == "attempt-1-2.pcapng");
  CHECK(paths[2].filename() == "attempt-1-3.pcapng");
  for (std::uint8_t i = 0; i < 3; ++i) {
    const auto recording = read_recording(file_of(paths[i])).value();
    const auto& transfer = recording->attempts().at(0).connections.at(0).transfers.at(0);
    CHECK(recording->data(transfer, 0, 1).value() == core::ByteBuffer{i});
  }
  CHECK(std::distance(std::filesystem::directory_iterator(bench.folder / "kept"), {}) == 3);
  CHECK_FALSE(bench.recorder->trouble());
}

TEST_CASE("a kept recording follows no link, of its name or of its folder") {
  const Bench bench(false);
  const std::filesystem::path elsewhere = bench.folder / "elsewhere";
  std::filesystem::create_directory(elsewhere);
  REQUIRE(core::write_file(elsewhere / "theirs", core::as_bytes("theirs")));
  REQUIRE(bench.connect()->write(core::ByteBuffer{1}, soon()));
  SECTION("its name") {
    std::filesystem::create_directory(bench.folder / "kept");
    std::filesystem::create_symlink(elsewhere / "theirs", bench.folder / "kept" / "attempt-1.pcapng");
    const auto path = bench.recorder->finish(kPort, failed("1"));
    REQUIRE(path);
    CHECK(path->filename() == "attempt-1-2.pcapng");
    CHECK(std::filesystem::is_symlink(bench.folder / "kept" / "attempt-1.pcapng"));
  }
  SECTION("its folder") {
    std::filesystem::create_directory_symlink(elsewhere, bench.folder / "kept");
    CHECK_FALSE(bench.recorder->finish(kPort, failed("1")));
    REQUIRE(bench.recorder->trouble());
    CHECK(bench.recorder->trouble()->id() == "capture.folder-not-ours");
  }
  CHECK(std::distance(std::filesystem::directory_iterator(elsewhere), {}) == 1);
  CHECK(file_of(elsewhere / "theirs").size() == 6);
}

TEST_CASE("a failed attempt is kept with its first and last transfers and the gap between them, in little space") {
  const Bench bench(false);
  {
    EasyTransport* inner = nullptr;
    const auto transport = bench.connect(&inner);
    inner->answer = core::ByteBuffer(16000, 0x22);
    core::ByteBuffer buffer(16376);
    for (int i = 0; i < 500; ++i) {
      REQUIRE(transport->write(core::ByteBuffer(16376, 0x33), soon()));
      REQUIRE(transport->read(buffer, soon()));
    }
  }
  const auto path = bench.recorder->finish(kPort, failed("12"));
  REQUIRE(path);
  CHECK(*path == bench.folder / "kept" / "attempt-12.pcapng");
  CHECK(std::filesystem::file_size(*path) < 400'000);
  const auto recording = read_recording(file_of(*path)).value();
  const RecordedAttempt& attempt = recording->attempts().at(0);
  CHECK(attempt.has_gap());
  REQUIRE(attempt.outcome);
  CHECK(attempt.outcome->verdict == "failed");
  CHECK(attempt.transfers() > 20);
  CHECK(attempt.transfers() < 1000);
  const auto& last = attempt.connections.back().transfers.back();
  CHECK(last.moved == 16000);
  CHECK(last.kept == PortHistory::kMostReadData);
  // Nothing of it is left for the next one.
  CHECK_FALSE(bench.recorder->finish(kPort, failed("13")));
}

TEST_CASE("what passed and what transferred nothing is not kept") {
  const Bench bench(false);
  REQUIRE(bench.connect()->write(core::ByteBuffer{1}, soon()));
  CHECK_FALSE(bench.recorder->finish(kPort, {.verdict = "passed", .attempt = "1"}));
  CHECK_FALSE(bench.recorder->finish({"9-9"}, failed()));
  CHECK_FALSE(std::filesystem::exists(bench.folder / "kept"));
}

TEST_CASE("only the newest recordings are kept, and files of others stay") {
  const Bench bench(false);
  std::filesystem::create_directory(bench.folder / "kept");
  REQUIRE(core::write_file(bench.folder / "kept" / "notes.txt", core::as_bytes("mine")));
  for (std::size_t i = 0; i < Recorder::kMostKept + 5; ++i) {
    REQUIRE(bench.connect()->write(core::ByteBuffer{1}, soon()));
    const auto path = bench.recorder->finish(kPort, failed(std::to_string(i)));
    REQUIRE(path);
    const auto age = std::chrono::hours(1000 - static_cast<int>(i));
    std::filesystem::last_write_time(*path, std::filesystem::file_time_type::clock::now() - age);
  }
  std::size_t kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder / "kept"))
    kept += entry.path().extension() == ".pcapng" ? 1 : 0;
  CHECK(kept == Recorder::kMostKept);
  CHECK_FALSE(std::filesystem::exists(bench.folder / "kept" / "attempt-1.pcapng"));
  CHECK(std::filesystem::exists(bench.folder / "kept" / "notes.txt"));
}

TEST_CASE("a folder that cannot be made loses the recording and nothing else") {
  core::test::ScratchFolder folder;
  REQUIRE(core::write_file(folder / "in-the-way", core::as_bytes("a file")));
  const auto recorder = Recorder::open({{}, folder / "in-the-way" / "kept", "a test"}).value();
  REQUIRE(recorder->tap()(kPort, simple_io_identity(), std::make_unique<EasyTransport>()));
  CHECK_FALSE(recorder->finish(kPort, failed()));
  CHECK(recorder->trouble());
}

TEST_CASE("a history stays within its bytes whatever a device answers") {
  PortHistory history;
  const auto size =
      GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{600}, std::size_t{5000}, std::size_t{2U << 20});
  const auto kind = GENERATE(TransferKind::bulk_in, TransferKind::bulk_out);
  const core::ByteBuffer data(size, 1);
  for (int i = 0; i < 3000; ++i) {
    history.add({}, {.kind = kind, .comment = std::string(2000, 'x')}, data);
    REQUIRE(history.bytes() <= PortHistory::kMostBytes);
  }
  CHECK(history.dropped() > 0);
  history.clear();
  CHECK(history.bytes() == 0);
  CHECK(history.empty());
}

TEST_CASE("a transport that outlives its recorder goes on without it") {
  Bench bench;
  const auto transport = bench.connect();
  const auto tap = bench.recorder->tap();
  bench.recorder.reset();
  CHECK(transport->write(core::ByteBuffer{1}, soon()));
  CHECK(tap(kPort, simple_io_identity(), std::make_unique<EasyTransport>())->write(core::ByteBuffer{1}, soon()));
}
