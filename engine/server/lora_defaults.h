#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/protocol/lora.h"

namespace conclave::engine::server {

/// An adapter of a caller's default. It is kept by name as well, so that one that was taken off is missed and
/// not passed over.
struct LoraDefault {
    uint32_t id = 0;
    std::string name, model;
    bool installed = false;  ///< may come back under another number
    double scale = 1;
};

/// What each caller's requests are adapted with where they do not say. One caller never sees another's.
/// Thread-safe.
class LoraDefaults {
  public:
    std::vector<LoraDefault> of(base::OwnerId owner) const {
        const std::lock_guard lock(mutex_);
        const auto found = byOwner_.find(owner);
        return found == byOwner_.end() ? std::vector<LoraDefault>() : found->second;
    }
    void set(base::OwnerId owner, std::vector<LoraDefault> uses) {
        const std::lock_guard lock(mutex_);
        byOwner_[owner] = std::move(uses);
    }

  private:
    mutable std::mutex mutex_;
    std::map<base::OwnerId, std::vector<LoraDefault>> byOwner_;
};

}  // namespace conclave::engine::server
