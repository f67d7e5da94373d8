// SPDX-License-Identifier: GPL-3.0-or-later
// Output of the command line.
#include "station/cli/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <iterator>

#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"
#include "station/jobs/progress_line.hpp"

namespace imprint::station::cli {

namespace {

// Why standard output, of which a program has one, could not be written at first.
int output_error = 0;

// A descriptor of the process, as standard error is.
int progress_pipe = -1;

// A pkcs11 URI may hold a PIN, and may have been given where none is taken: as a file's name, or as a word too many.
// The rest of the text goes, too, since a PIN may hold anything.
std::string without_pin(const std::string& text) {
  constexpr std::string_view kAttribute = "pin-value";
  const std::size_t at = core::to_lower_ascii(text).find(kAttribute);
  if (at == std::string::npos || at + kAttribute.size() == text.size()) return text;
  return text.substr(0, at + kAttribute.size()) + "...";
}

bool may_hold_pin(const core::Error& error) {
  const auto changes = [](const auto& pair) { return without_pin(pair.second) != pair.second; };
  return without_pin(error.detail()) != error.detail() || std::ranges::any_of(error.context(), changes) ||
         (error.cause() != nullptr && may_hold_pin(*error.cause()));
}

core::Error without_pin(const core::Error& error) {
  if (!may_hold_pin(error)) return error;
  core::Error out(error.row(), without_pin(error.detail()));
  for (const auto& [key, value] : error.context()) out.add_context(key, without_pin(value));
  if (error.cause() != nullptr) out.set_cause(without_pin(*error.cause()));
  return out;
}

}  // namespace

ExitStatus exit_status(const core::Error& error) {
  const std::string_view id = error.id();
  constexpr std::string_view kUsage[] = {"usage.invalid",      "ffu.store-missing",  "ffu.disk-size-unknown",
                                         "demo.folder-in-use", "sign.key-encrypted", "sign.pin-needed",
                                         "sign.pin-in-uri",    "sign.uri-malformed"};
  if (std::ranges::find(kUsage, id) != std::end(kUsage)) return ExitStatus::usage;
  // A key or certificate that is not there, or may not be read.
  if (id.starts_with("sign.") && error.cause() != nullptr) return exit_status(*error.cause());
  if (id == "report.no-rows") return ExitStatus::nothing;
  if (id == "job.deadline") return ExitStatus::not_good;
  if (id == "workspace.file-missing") return ExitStatus::environment;
  // The input is at fault where the file itself was readable; the machine where it was not.
  return error.row().fault == core::FaultClass::station ? ExitStatus::environment : ExitStatus::not_good;
}

std::string error_json(const core::Error& told) {
  const core::Error error = without_pin(told);
  boost::json::object context;
  for (const auto& [key, value] : error.context()) context[key] = core::printable(value);
  boost::json::object out{{"id", error.id()},
                          {"text", error.row().text},
                          {"detail", core::printable(error.detail())},
                          {"remedy", error.row().remedy},
                          {"fault", core::to_string(error.row().fault)},
                          {"context", std::move(context)}};
  if (error.cause() != nullptr) out["cause"] = boost::json::parse(error_json(*error.cause()));
  return boost::json::serialize(out);
}

ExitStatus report_error(const core::Error& error, bool json) {
  if (json) {
    fmt::print(stderr, "{{\"error\":{}}}\n", error_json(error));
  } else {
    fmt::print(stderr, "imprint: {}: {}\n  What to do: {}\n", error.id(), without_pin(error).message(),
               error.row().remedy);
  }
  return exit_status(error);
}

void print(std::string_view text) {
  // Nothing more once it failed: a later failure would hide why the first one was.
  if (std::ferror(stdout) != 0) return;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) output_error = errno;
}

ExitStatus finish_output(ExitStatus status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  if (output_error != 0) errno = output_error;
  // Who closed the pipe wants no more: that is no error of the command. A full disk under a redirection is.
  if (errno == EPIPE) return status;
  static_cast<void>(report_error(core::fail_errno(errno, "io.write-failed", "standard output").error(), false));
  return ExitStatus::environment;
}

void print_line(std::string_view text) {
  print(text);
  print("\n");
}

void set_progress_pipe(int fd) { progress_pipe = fd; }

void tell_progress(std::string_view text, std::uint64_t done, std::uint64_t due) {
  if (progress_pipe < 0) return;
  const std::string line = jobs::progress_line({done, due, std::string(text)});
  // Less than PIPE_BUF: whole or not at all. Whoever reads it may have gone.
  if (::write(progress_pipe, line.data(), line.size()) < 0) progress_pipe = -1;
}

Progress::Progress(std::string label, bool quiet)
    : label_(std::move(label)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (drawn_ && terminal_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (total == 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_told_ > std::chrono::milliseconds(100) || done == total) {
    last_told_ = now;
    tell_progress(label_, std::min(done, total), total);
  }
  if (quiet_) return;
  if (terminal_) {
    if (done < total && now - last_draw_ < std::chrono::milliseconds(100)) return;
    last_draw_ = now;
    draw(done, total);
    return;
  }
  const auto tenth = static_cast<unsigned>(done * 10 / total);
  // Short work needs no lines in a log.
  if (tenth == last_tenth_ || now - start_ < std::chrono::seconds(2)) return;
  last_tenth_ = tenth;
  draw(done, total);
}

void Progress::draw(std::uint64_t done, std::uint64_t total) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  const double rate = elapsed.count() > 0 ? static_cast<double>(done) / elapsed.count() : 0;
  const std::string text = fmt::format("{} {:3}%  {} of {}  {}", label_, done * 100 / total, core::format_mib(done),
                                       core::format_mib(total), core::format_rate(rate));
  if (terminal_) {
    const auto filled = static_cast<std::size_t>(done * 24 / total);
    fmt::print(stderr, "\r\x1b[K[{}{}] {}", std::string(filled, '#'), std::string(24 - filled, '.'), text);
    std::fflush(stderr);
  } else {
    fmt::print(stderr, "{}\n", text);
  }
  drawn_ = true;
}

}  // namespace imprint::station::cli
