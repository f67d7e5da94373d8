// SPDX-License-Identifier: GPL-3.0-or-later
// sd_journal_sendv, or standard error.
#include "station/daemon/journal.hpp"

#include <sys/stat.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "flash/core/text.hpp"

namespace imprint::daemon {
namespace {

int priority_of(Level level) {
  switch (level) {
    case Level::info:
      return LOG_INFO;
    case Level::notice:
      return LOG_NOTICE;
    case Level::warning:
      return LOG_WARNING;
    case Level::error:
      break;
  }
  return LOG_ERR;
}

const char* word_of(Level level) {
  switch (level) {
    case Level::info:
      return "info";
    case Level::notice:
      return "notice";
    case Level::warning:
      return "warning";
    case Level::error:
      break;
  }
  return "error";
}

// JOURNAL_STREAM holds device and inode of the stream that systemd made standard error; it stays set when a shell in
// between sent standard error elsewhere.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  if (stream == nullptr || std::sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) != 2) return false;
  struct stat status{};
  return ::fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

}  // namespace

Journal::Journal() : to_journald_(stderr_is_journal()) {}

void Journal::write(Level level, std::string_view message, const Field* fields, std::size_t count) const {
  if (!to_journald_) {
    std::string line = std::string("imprintd: ") + word_of(level) + ": " + core::printable(message);
    for (std::size_t i = 0; i < count; ++i) {
      line += " ";
      for (const char sign : fields[i].first) line += static_cast<char>(std::tolower(static_cast<unsigned char>(sign)));
      line += "=" + core::printable(fields[i].second);
    }
    line += "\n";
    std::fputs(line.c_str(), stderr);
    return;
  }
  std::vector<std::string> texts;
  texts.reserve(count + 2);
  texts.push_back("MESSAGE=" + core::printable(message));
  texts.push_back("PRIORITY=" + std::to_string(priority_of(level)));
  for (std::size_t i = 0; i < count; ++i)
    texts.push_back("IMPRINT_" + std::string(fields[i].first) + "=" + core::printable(fields[i].second));
  std::vector<iovec> parts;
  parts.reserve(texts.size());
  for (std::string& text : texts) parts.push_back({text.data(), text.size()});
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

void Journal::log(Level level, std::string_view message, std::initializer_list<Field> fields) const {
  write(level, message, fields.begin(), fields.size());
}

void Journal::log(Level level, std::string_view message, const core::Error& error) const {
  const Field fields[] = {
      {"ERROR", std::string(error.id())}, {"DETAIL", error.message()}, {"REMEDY", std::string(error.row().remedy)}};
  write(level, message, fields, std::size(fields));
}

}  // namespace imprint::daemon
