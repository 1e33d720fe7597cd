#include "engine/scheduler/expert_log.h"

#include <algorithm>
#include <utility>

namespace conclave::engine::scheduler {
namespace {

uint64_t bytesOf(const ExpertRecord& record) {
    uint64_t bytes = sizeof(ExpertRecord) + sizeof(std::shared_ptr<ExpertRecord>) + record.counts.bytes() +
                     record.conversation.capacity();
    for (const std::string& name : record.adapters)
        bytes += sizeof(name) + name.capacity();
    return bytes;
}

bool isAbout(const ExpertRecord& record, const ExpertQuery& query) {
    if (query.owner && record.owner != *query.owner) return false;
    if (query.conversation && record.conversation != *query.conversation) return false;
    if (!query.adapter) return true;
    if (query.adapter->empty()) return record.adapters.empty();
    return std::ranges::find(record.adapters, *query.adapter) != record.adapters.end();
}

}  // namespace

std::optional<uint32_t> ExpertWindow::worstLayer() const {
    const LayerLoad* worst = model::worstLayer(layers);
    return worst == nullptr ? std::nullopt : std::optional(worst->layer);
}

void ExpertLog::add(const library::LoadedModel& model, std::shared_ptr<const ExpertRecord> record) {
    const std::lock_guard lock(mutex_);
    if (!rings_.contains(model.name))
        std::erase_if(rings_, [](const auto& entry) { return entry.second.model.expired(); });
    Ring& ring = rings_[model.name];
    if (ring.contentId != model.contentId) ring = Ring{model.contentId, {}, {}, 0};
    ring.model = model.model;
    ring.bytes += bytesOf(*record);
    ring.records.push_back(std::move(record));
    while (ring.bytes > bytesOfModel_ && ring.records.size() > 1) {
        ring.bytes -= bytesOf(*ring.records.front());
        ring.records.pop_front();
    }
}

std::vector<std::shared_ptr<const ExpertRecord>> ExpertLog::recordsOf(const library::LoadedModel& model,
                                                                      const ExpertQuery& query) const {
    std::vector<std::shared_ptr<const ExpertRecord>> out;
    const std::lock_guard lock(mutex_);
    const auto ring = rings_.find(model.name);
    if (ring == rings_.end() || ring->second.contentId != model.contentId) return out;
    for (const auto& record : ring->second.records)
        if (isAbout(*record, query)) out.push_back(record);
    return out;
}

ExpertWindow ExpertLog::read(const library::LoadedModel& model, const ExpertQuery& query,
                             std::chrono::steady_clock::time_point now) const {
    const model::ModelConfig& config = model.model->config;
    ExpertWindow out;
    out.chosen = config.chosenExperts;
    out.experts = config.experts;
    model::ExpertCounts sum(config);
    const auto records = recordsOf(model, query);
    for (auto it = records.rbegin(); it != records.rend(); ++it) {
        const ExpertRecord& record = **it;
        if (query.tokens && out.tokens >= *query.tokens) break;
        if (query.last && record.ended < now - *query.last) continue;
        sum.add(record.counts);
        out.tokens += record.tokens;
        out.seconds = std::max(out.seconds, std::chrono::duration<double>(now - record.began).count());
    }
    out.layers = model::loadOf(sum, model::layersWithExperts(config), out.tokens);
    return out;
}

uint64_t ExpertLog::bytes() const {
    const std::lock_guard lock(mutex_);
    uint64_t sum = 0;
    for (const auto& [name, ring] : rings_)
        sum += ring.bytes;
    return sum;
}

}  // namespace conclave::engine::scheduler
