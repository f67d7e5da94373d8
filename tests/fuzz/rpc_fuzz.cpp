// SPDX-License-Identifier: GPL-3.0-or-later
// Lines from clients and from the station: parsed or refused, and what is answered parses again.
#include <cstdlib>

#include "station/api/rpc.hpp"

using namespace imprint;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto request = api::parse_request(line);
  const std::string answer = request ? api::result_line(request->id, request->params)
                                     : api::error_line(api::id_of_broken_request(line), request.error());
  if (answer.find('\n') != std::string::npos) std::abort();
  static_cast<void>(api::parse_incoming(answer));
  static_cast<void>(api::parse_incoming(line));
  if (!request) return 0;
  api::Params params(request->params);
  static_cast<void>(params.text("text"));
  static_cast<void>(params.number_or("limit", 1, 1, 1000));
  static_cast<void>(params.flag_or("typed", false));
  static_cast<void>(params.finish());
  return 0;
}
