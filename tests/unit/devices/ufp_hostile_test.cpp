// SPDX-License-Identifier: GPL-3.0-or-later
// UFP devices that misbehave: scripted replies that come late, lie, never end or confirm what is not there.
#include "tests/unit/devices/ufp_fixture.hpp"

using namespace imprint;
using namespace imprint::ufp_fixture;

namespace {

// The image of ScriptedUfp goes out as one header message and one payload message.
void prepare(ScriptedUfp& s, std::initializer_list<core::ByteBuffer> rest) {
  s.answers({hello_answer(), info_answer()});
  s.script->answers.insert(s.script->answers.end(), rest);
}

core::ByteBuffer log_size(std::uint64_t size) { return ufp::write_parameter(0, ufp::message(ufp::Be64(size))); }

core::ByteBuffer log_piece(std::string_view text) {
  core::ByteBuffer out = status_answer(0, ufp::kReadLog);
  const auto bytes = core::as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

}  // namespace

TEST_CASE("a UFP flash is good when the last reply says done") {
  ScriptedUfp s;
  prepare(s, {status_answer(0), payload_answer(ufp::kDone)});
  CHECK(s.flash());
  CHECK(flash_messages(s.script->sent).size() == 2);
}

TEST_CASE("a device that is not done after the last part is asked once more with zeros") {
  ScriptedUfp s;
  SECTION("and is done then") {
    prepare(s, {status_answer(0), payload_answer(0), payload_answer(ufp::kDone)});
    CHECK(s.flash());
  }
  SECTION("and never is") {
    prepare(s, {status_answer(0), payload_answer(0), payload_answer(0)});
    CHECK(error_id(s.flash()) == "device.protocol-violation");
  }
  SECTION("and refuses") {
    prepare(s, {status_answer(0), payload_answer(0), payload_answer(0, 0x1007)});
    const auto done = s.flash();
    CHECK(error_id(done) == "device.protocol-violation");
    REQUIRE(done.error().cause() != nullptr);
    CHECK(done.error().cause()->context_value("device_error") == "0x1007");
  }
  const core::ByteBuffer closing = flash_messages(s.script->sent).back();
  CHECK(closing.size() == 0x20 + 32);
  CHECK(closing[8] == 100);
  CHECK(core::is_zero(core::ByteView(closing).subspan(0x20)));
}

TEST_CASE("a V1 device that does not say done at the end has not confirmed") {
  ScriptedUfp s;
  ufp::DeviceInfo info = some_info();
  info.protocols = ufp::kSyncV1;
  s.answers({hello_answer(), info_answer(info), status_answer(0)});
  s.script->then_for_ever = payload_answer(0);
  CHECK(error_id(s.flash()) == "device.protocol-violation");
}

TEST_CASE("only the number 1 means done") {
  const auto state = GENERATE(0U, 2U, 0x100U, 0x10000U, 0x01000000U, UINT32_MAX);
  ScriptedUfp s;
  prepare(s, {status_answer(0), payload_answer(state), payload_answer(state)});
  CHECK(error_id(s.flash()) == "device.protocol-violation");
}

TEST_CASE("a device that says done before it has the image is not believed") {
  ScriptedUfp s;
  ufp::DeviceInfo info = some_info();
  info.write_buffer_size = 16384;
  s.answers({hello_answer(), info_answer(info)});
  const std::size_t headers = fixture::small_image().payload_offset / 16384;
  for (std::size_t i = 0; i < headers; ++i) s.script->answers.push_back(status_answer(0));
  s.script->answers.push_back(payload_answer(ufp::kDone));
  CHECK(error_id(s.flash()) == "device.protocol-violation");
}

TEST_CASE("a confirmation of the headers is none of the payload") {
  ScriptedUfp s;
  prepare(s, {status_answer(0), status_answer(0)});
  CHECK(error_id(s.flash()) == "device.protocol-violation");
}

TEST_CASE("replies in the wrong order are a protocol violation") {
  ScriptedUfp s;
  SECTION("another command's") { prepare(s, {log_piece("x")}); }
  SECTION("a payload's unknown-command") { prepare(s, {status_answer(0), unknown_answer()}); }
  SECTION("information instead of a status") { prepare(s, {info_answer()}); }
  CHECK(error_id(s.flash()) == "device.protocol-violation");
}

TEST_CASE("late replies of an earlier job are passed over before a job") {
  ScriptedUfp s;
  s.answers({payload_answer(ufp::kDone), status_answer(0), hello_answer(), info_answer(), status_answer(0),
             payload_answer(ufp::kDone)});
  CHECK(s.flash());
}

TEST_CASE("a device that never answers a greeting properly is a protocol violation") {
  ScriptedUfp s;
  SECTION("with other replies") { s.script->then_for_ever = payload_answer(ufp::kDone); }
  SECTION("with empty transfers") { s.script->then_for_ever = core::ByteBuffer{}; }
  CHECK(error_id(s.flash()) == "device.protocol-violation");
  CHECK(error_id(s.target.identify()) == "device.protocol-violation");
}

TEST_CASE("a UFP device that does not answer is device.timed-out and says during what") {
  ScriptedUfp s;
  SECTION("at the greeting") {
    const auto identity = s.target.identify();
    REQUIRE_FALSE(identity);
    CHECK(identity.error().context_value("during") == "greeting the device");
  }
  SECTION("to a part of the image") {
    prepare(s, {status_answer(0)});
    const auto done = s.flash();
    REQUIRE_FALSE(done);
    CHECK(std::string(done.error().id()) == "device.timed-out");
    CHECK(done.error().context_value("during") == "sending the image");
  }
}

TEST_CASE("a write buffer that holds nothing is a protocol violation") {
  ScriptedUfp s;
  ufp::DeviceInfo info = some_info();
  info.write_buffer_size = GENERATE(0U, 511U);
  s.answers({hello_answer(), info_answer(info)});
  CHECK(error_id(s.flash()) == "device.protocol-violation");
  CHECK(flash_messages(s.script->sent).empty());
}

TEST_CASE("a log of any claimed length is read within limits, and what it says is printable") {
  ScriptedUfp s;
  SECTION("a log without end") {
    prepare(s, {status_answer(0x1106), log_size(UINT64_MAX)});
    s.script->then_for_ever = log_piece(std::string(ufp::kLogPieceBytes, 'x'));
    CHECK(error_id(s.flash()) == "device.rejected-image");
    CHECK(s.script->sent.size() < 12);
    CHECK(s.observer.log.size() == 1);
  }
  SECTION("a log in single bytes") {
    prepare(s, {status_answer(0x1106), log_size(100)});
    s.script->then_for_ever = log_piece("x");
    CHECK(error_id(s.flash()) == "device.rejected-image");
    CHECK(s.observer.log == std::vector<std::string>{std::string(100, 'x')});
  }
  SECTION("a piece longer than was asked for") {
    prepare(s, {status_answer(0x1106), log_size(4), log_piece("abcdefgh")});
    CHECK(error_id(s.flash()) == "device.rejected-image");
    CHECK(s.observer.log == std::vector<std::string>{"abcd"});
  }
  SECTION("control characters") {
    prepare(s, {status_answer(0x1106), log_size(9), log_piece("\x1B[2J\nbad\x07")});
    CHECK(error_id(s.flash()) == "device.rejected-image");
    CHECK(s.observer.log == std::vector<std::string>{"?[2J", "bad?"});
  }
  SECTION("no log, nothing, or something else") {
    prepare(s, {status_answer(0x1106)});
    s.script->then_for_ever = GENERATE(unknown_answer(), log_size(0), log_piece(""), core::ByteBuffer(3, 0x1B));
    CHECK(error_id(s.flash()) == "device.rejected-image");
    CHECK(s.observer.log.empty());
  }
}

TEST_CASE("the log of a device that does not answer any more is not asked for") {
  ScriptedUfp s;
  prepare(s, {status_answer(0)});
  CHECK(error_id(s.flash()) == "device.timed-out");
  CHECK(s.script->sent.back() == hello_answer());  // the greeting, which came to nothing
}
