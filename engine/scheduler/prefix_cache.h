#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/ids.h"
#include "engine/scheduler/page_pool.h"

namespace conclave::engine::scheduler {

/// What decides the bits of a page beside the tokens before its end. Pages of different sources never meet.
struct PageSource {
    base::OwnerId owner{};
    std::string numericsId;  ///< of the model
    std::string contentId;   ///< of the model's files
    auto operator<=>(const PageSource&) const = default;
};

/// Computed pages that later requests of the same owner may go on from. A page is found by the chain hash of
/// its source and of all tokens up to its end; the tokens themselves and the page before it are compared too,
/// so that a collision of hashes is a miss and never somebody else's text. Holds one reference to each page;
/// the least recently used that no sequence holds goes first. For the scheduler's thread only.
class PrefixCache {
  public:
    explicit PrefixCache(PagePool& pool) : pool_(pool) {}
    ~PrefixCache();
    PrefixCache(const PrefixCache&) = delete;
    PrefixCache& operator=(const PrefixCache&) = delete;

    /// A place in the tree of prefixes: the end of a cached page, or the beginning of a source.
    enum class Node : uint64_t { None };
    struct Found {
        Node node;
        PageId page;
    };

    /// The beginning of every prefix of this source.
    Node root(const PageSource& source);
    /// What a page goes on from: a prefix, or a branch of it under adapters or router options that work from
    /// position `from` on. What lies before belongs to everybody.
    struct Place {
        Place(Node node) : before(node) {}  // implicit: most pages have no branch before them
        Place(Node node, std::string branchKey, uint32_t position)
            : before(node), key(std::move(branchKey)), from(position) {}
        Node before;
        std::string key;  ///< of what is at work from there on; empty = no branch
        uint32_t from = 0;
    };
    /// The page that holds `tokens` (kPagePositions of them) after `place`. The caller retains it.
    std::optional<Found> find(const Place& place, std::span<const base::TokenId> tokens) const;
    /// Adds a page (retaining it). Where there is one of the same content already, that one is the answer.
    /// Nothing where a collision or an evicted parent keeps it out.
    std::optional<Found> insert(const Place& place, std::span<const base::TokenId> tokens, PageId page);
    /// The prefix that ends with the last of `path` (its nodes from the first page on) has been used now.
    void touch(std::span<const Node> path);
    /// Gives up the least recently used page that only the cache holds; false where there is none.
    bool evictOldest();

    size_t pages() const { return entries_.size(); }
    uint64_t evictions() const { return evictions_; }

  private:
    struct Entry {
        Node node, parent;
        std::array<base::TokenId, kPagePositions> tokens;
        PageId page;
        uint32_t children = 0;
    };
    using Entries = std::list<Entry>;  ///< least recently used first

    using BranchKey = std::tuple<Node, std::string, uint32_t>;  ///< of a Place
    struct Branch {
        Node node;
        uint32_t children = 0;  ///< pages that go on from it; one without is forgotten
    };
    using Branches = std::map<BranchKey, Branch>;

    Node nodeOf(const Place& place) const;
    Branches::iterator makeBranch(const Place& place);
    void forgetBranch(Branches::iterator branch);
    void leaveParent(Node parent);
    void forgetBranches(Node parent);
    const Entry* match(Node parent, std::span<const base::TokenId> tokens) const;

    PagePool& pool_;
    std::map<PageSource, Node> roots_;
    Branches branches_;
    std::unordered_map<uint64_t, Branches::iterator> branchOf_;  ///< by its node
    Entries entries_;
    std::unordered_map<uint64_t, Entries::iterator> byHash_;
    std::unordered_map<uint64_t, uint64_t> hashOf_;  ///< Node -> chain hash, also of roots
    uint64_t lastNode_ = 0, evictions_ = 0;
};

}  // namespace conclave::engine::scheduler
