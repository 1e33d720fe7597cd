#include "engine/scheduler/prefix_cache.h"

#include <algorithm>

namespace conclave::engine::scheduler {
namespace {

/// One step of the chain hash (the finaliser of SplitMix64, Steele, Lea and Flood 2014).
uint64_t mix(uint64_t hash, uint64_t value) {
    uint64_t x = hash + 0x9E3779B97F4A7C15u + value * 0xD6E8FEB86659FD93u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t chainHash(uint64_t before, std::span<const base::TokenId> tokens) {
    for (base::TokenId token : tokens)
        before = mix(before, static_cast<uint64_t>(base::toInt(token)));
    return before;
}

uint64_t mixText(uint64_t hash, const std::string& text) {
    hash = mix(hash, text.size());
    for (char c : text)
        hash = mix(hash, static_cast<uint8_t>(c));
    return hash;
}

uint64_t hashOfSource(const PageSource& source) {
    uint64_t hash = mix(0, base::toInt(source.owner));
    for (const std::string* part : {&source.numericsId, &source.contentId})
        hash = mixText(hash, *part);
    return hash;
}

}  // namespace

PrefixCache::~PrefixCache() {
    for (const Entry& entry : entries_) {
        pool_.setCached(entry.page, false);
        pool_.release(entry.page);
    }
}

PrefixCache::Node PrefixCache::root(const PageSource& source) {
    const auto [place, isNew] = roots_.try_emplace(source, Node{lastNode_ + 1});
    if (isNew) hashOf_.emplace(++lastNode_, hashOfSource(source));
    return place->second;
}

/// The node that pages at `place` have as their parent; None where nothing is stored behind it.
PrefixCache::Node PrefixCache::nodeOf(const Place& place) const {
    if (place.key.empty()) return place.before;
    const auto found = branches_.find({place.before, place.key, place.from});
    return found == branches_.end() ? Node::None : found->second.node;
}

/// The branch at `place`, whose prefix is stored.
PrefixCache::Branches::iterator PrefixCache::makeBranch(const Place& place) {
    const auto [branch, isNew] =
        branches_.try_emplace({place.before, place.key, place.from}, Branch{Node{lastNode_ + 1}});
    if (!isNew) return branch;
    const uint64_t before = hashOf_.at(static_cast<uint64_t>(place.before));
    hashOf_.emplace(++lastNode_, mix(mixText(before, place.key), place.from));
    branchOf_.emplace(lastNode_, branch);
    return branch;
}

void PrefixCache::forgetBranch(Branches::iterator branch) {
    hashOf_.erase(static_cast<uint64_t>(branch->second.node));
    branchOf_.erase(static_cast<uint64_t>(branch->second.node));
    branches_.erase(branch);
}

const PrefixCache::Entry* PrefixCache::match(Node parent, std::span<const base::TokenId> tokens) const {
    CONCLAVE_CHECK(tokens.size() == kPagePositions);
    const auto before = hashOf_.find(static_cast<uint64_t>(parent));
    if (before == hashOf_.end()) return nullptr;
    const auto found = byHash_.find(chainHash(before->second, tokens));
    if (found == byHash_.end()) return nullptr;
    const Entry& entry = *found->second;
    return entry.parent == parent && std::ranges::equal(entry.tokens, tokens) ? &entry : nullptr;
}

std::optional<PrefixCache::Found> PrefixCache::find(const Place& place,
                                                    std::span<const base::TokenId> tokens) const {
    if (const Entry* entry = match(nodeOf(place), tokens)) return Found{entry->node, entry->page};
    return std::nullopt;
}

std::optional<PrefixCache::Found> PrefixCache::insert(const Place& place,
                                                      std::span<const base::TokenId> tokens, PageId page) {
    if (!hashOf_.contains(static_cast<uint64_t>(place.before))) return std::nullopt;
    const auto branch = place.key.empty() ? branches_.end() : makeBranch(place);
    const Node parent = branch == branches_.end() ? place.before : branch->second.node;
    if (const Entry* entry = match(parent, tokens)) return Found{entry->node, entry->page};
    const uint64_t before = hashOf_.at(static_cast<uint64_t>(parent));
    const uint64_t hash = chainHash(before, tokens);
    if (byHash_.contains(hash)) {
        if (branch != branches_.end() && branch->second.children == 0) forgetBranch(branch);
        return std::nullopt;
    }
    Entry entry{.node = Node{++lastNode_}, .parent = parent, .tokens = {}, .page = page};
    std::ranges::copy(tokens, entry.tokens.begin());
    pool_.retain(page);
    pool_.setCached(page, true);
    entries_.push_back(entry);
    byHash_.emplace(hash, std::prev(entries_.end()));
    hashOf_.emplace(lastNode_, hash);
    if (branch != branches_.end())
        ++branch->second.children;
    else if (const auto above = byHash_.find(before); above != byHash_.end() && above->second->node == parent)
        ++above->second->children;
    return Found{entry.node, page};
}

void PrefixCache::touch(std::span<const Node> path) {
    // From the end to the beginning: a prefix stays younger than what continues it, so that chains go from
    // their ends.
    for (size_t i = path.size(); i-- > 0;) {
        const auto hash = hashOf_.find(static_cast<uint64_t>(path[i]));
        if (hash == hashOf_.end()) continue;
        const auto entry = byHash_.find(hash->second);
        CONCLAVE_CHECK(entry != byHash_.end());
        entries_.splice(entries_.end(), entries_, entry->second);
    }
}

/// One page less goes on from `parent`, which is a page, a branch, or a root.
void PrefixCache::leaveParent(Node parent) {
    if (const auto branch = branchOf_.find(static_cast<uint64_t>(parent)); branch != branchOf_.end()) {
        if (--branch->second->second.children == 0) forgetBranch(branch->second);
        return;
    }
    const auto hash = hashOf_.find(static_cast<uint64_t>(parent));
    if (hash == hashOf_.end()) return;  // a branch that went with its prefix
    const auto above = byHash_.find(hash->second);
    if (above != byHash_.end() && above->second->node == parent) --above->second->children;
}

/// What lies behind them cannot be found any more, and goes when it is the oldest.
void PrefixCache::forgetBranches(Node parent) {
    auto branch = branches_.lower_bound({parent, {}, 0});
    while (branch != branches_.end() && std::get<0>(branch->first) == parent)
        forgetBranch(branch++);
}

bool PrefixCache::evictOldest() {
    const auto oldest = std::ranges::find_if(
        entries_, [&](const Entry& entry) { return entry.children == 0 && pool_.onlyCached(entry.page); });
    if (oldest == entries_.end()) return false;
    leaveParent(oldest->parent);
    forgetBranches(oldest->node);
    const auto hash = hashOf_.find(static_cast<uint64_t>(oldest->node));
    byHash_.erase(hash->second);
    hashOf_.erase(hash);
    pool_.setCached(oldest->page, false);
    pool_.release(oldest->page);
    entries_.erase(oldest);
    ++evictions_;
    return true;
}

}  // namespace conclave::engine::scheduler
