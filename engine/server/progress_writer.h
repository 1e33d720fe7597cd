#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "engine/protocol/models.h"
#include "engine/server/exchange.h"

namespace conclave::engine::server {

/// Sends the progress of a load to the client; the first report begins the stream, so that what fails before
/// it has a status.
class ProgressWriter {
  public:
    explicit ProgressWriter(Reply reply) : reply_(std::move(reply)) {}

    void report(const std::string& stage, uint64_t done, uint64_t total) {
        constexpr std::chrono::milliseconds kPause{50};  // between two events of one stage
        const auto now = std::chrono::steady_clock::now();
        if (stage == stage_ && done != total && now - last_ < kPause) return;
        stage_ = stage;
        last_ = now;
        begin();
        reply_.event(std::string(protocol::kProgressEvent),
                     protocol::toText(protocol::LoadProgress{stage, done, total}));
    }

    void begin() {
        if (!std::exchange(begun_, true)) reply_.beginEvents(std::string(protocol::kErrorEvent));
    }

  private:
    Reply reply_;
    std::string stage_;
    std::chrono::steady_clock::time_point last_;
    bool begun_ = false;
};

}  // namespace conclave::engine::server
