#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/lora.h"

namespace conclave::engine::server {

/// What each caller's requests are adapted with where they do not say. One caller never sees another's.
/// Thread-safe.
class LoraDefaults {
  public:
    std::vector<protocol::LoraUse> of(base::OwnerId owner) const {
        const std::lock_guard lock(mutex_);
        const auto found = byOwner_.find(owner);
        return found == byOwner_.end() ? std::vector<protocol::LoraUse>() : found->second;
    }
    void set(base::OwnerId owner, std::vector<protocol::LoraUse> uses) {
        const std::lock_guard lock(mutex_);
        byOwner_[owner] = std::move(uses);
    }

  private:
    mutable std::mutex mutex_;
    std::map<base::OwnerId, std::vector<protocol::LoraUse>> byOwner_;
};

}  // namespace conclave::engine::server
