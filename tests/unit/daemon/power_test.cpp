// SPDX-License-Identifier: GPL-3.0-or-later
// The power is cut under a whole imprintd: what it had synced is there, what it had not is dropped, torn and reordered.
#include "tests/unit/daemon/shift.hpp"

using namespace imprint;
using namespace imprint::daemon::test;

TEST_CASE("a power cut at any write or sync of its records takes nothing from the daemon that it told of") {
  Site site;
  site.keep_as_template();
  const fs::path found = site.folder / "found";
  bool lived = false;
  for (std::uint64_t nth = 1, round = 0; !lived; nth += stride(13), ++round) {
    const std::string survives = std::to_string(round % 3);
    CAPTURE(nth, survives);
    site.reset_records();
    std::vector<db::AttemptId> passes;
    {
      Process daemon(site, {"power", std::to_string(nth), survives, std::to_string(nth),
                            site.records_file().parent_path().native(), found.native()});
      const bool worked = work(daemon, passes);
      const int status = daemon.wait();
      lived = worked && status == 0;
      if (!lived) REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    }
    if (!lived) site.put_records(found);
    check_after(site, passes);
  }
}
