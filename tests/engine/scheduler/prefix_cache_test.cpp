#include "engine/scheduler/prefix_cache.h"

#include <gtest/gtest.h>

namespace conclave::engine::scheduler {
namespace {

using Node = PrefixCache::Node;

std::vector<base::TokenId> pageOf(int first) {
    std::vector<base::TokenId> tokens;
    for (int i = 0; i < static_cast<int>(kPagePositions); ++i)
        tokens.push_back(base::TokenId{first + i});
    return tokens;
}

const PageSource kSource{base::OwnerId{1000}, "reference-f32-f32-1", "starter@1"};

/// A pool of ten pages of 64 bytes and a cache on it.
struct Fixture : ::testing::Test {
    PagePool pool{640};
    PrefixCache cache{pool};

    /// A page in the cache that no sequence holds any more.
    Node add(const PrefixCache::Place& place, int first) {
        const auto page = pool.take(64);
        const auto found = cache.insert(place, pageOf(first), *page);
        EXPECT_TRUE(found);
        pool.release(*page);
        return found ? found->node : Node::None;
    }
};
using PrefixCacheTest = Fixture;

TEST_F(PrefixCacheTest, FindsWhatFollowsTheSamePrefix) {
    const Node root = cache.root(kSource);
    const Node first = add(root, 0);
    const Node second = add(first, 100);
    ASSERT_TRUE(cache.find(root, pageOf(0)));
    EXPECT_EQ(cache.find(root, pageOf(0))->node, first);
    EXPECT_EQ(cache.find(first, pageOf(100))->node, second);
    EXPECT_FALSE(cache.find(root, pageOf(100))) << "the same tokens after another prefix";
    EXPECT_FALSE(cache.find(second, pageOf(0)));
    EXPECT_FALSE(cache.find(Node::None, pageOf(0)));
}

TEST_F(PrefixCacheTest, KeepsSourcesApart) {
    add(cache.root(kSource), 0);
    for (PageSource other : {PageSource{base::OwnerId{1001}, kSource.numericsId, kSource.contentId},
                             PageSource{kSource.owner, "avx2-int8-f32-1", kSource.contentId},
                             PageSource{kSource.owner, kSource.numericsId, "starter@2"}})
        EXPECT_FALSE(cache.find(cache.root(other), pageOf(0)));
    EXPECT_TRUE(cache.find(cache.root(kSource), pageOf(0)));
}

TEST_F(PrefixCacheTest, TheSameContentIsStoredOnce) {
    const Node root = cache.root(kSource);
    const auto a = pool.take(64), b = pool.take(64);
    const auto first = cache.insert(root, pageOf(0), *a);
    const auto second = cache.insert(root, pageOf(0), *b);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(second->page, *a);
    EXPECT_EQ(second->node, first->node);
    EXPECT_EQ(cache.pages(), 1u);
}

TEST_F(PrefixCacheTest, TheLeastRecentlyUsedGoesFirstAndChainsFromTheirEnds) {
    const Node root = cache.root(kSource);
    const Node a1 = add(root, 0), a2 = add(a1, 100);
    const Node b1 = add(root, 200);
    cache.touch(std::vector{a1, a2});
    EXPECT_TRUE(cache.evictOldest());
    EXPECT_FALSE(cache.find(root, pageOf(200))) << "b was used before a";
    EXPECT_TRUE(cache.evictOldest());
    EXPECT_FALSE(cache.find(a1, pageOf(100)));
    EXPECT_TRUE(cache.find(root, pageOf(0)));
    EXPECT_TRUE(cache.evictOldest());
    EXPECT_FALSE(cache.evictOldest());
    EXPECT_EQ(cache.pages(), 0u);
    EXPECT_EQ(pool.inUse(), 0u);
    EXPECT_FALSE(cache.insert(b1, pageOf(0), *pool.take(64))) << "its parent is gone";
}

TEST_F(PrefixCacheTest, ABranchIsFoundUnderItsOwnAdaptersAndPositionOnly) {
    const Node root = cache.root(kSource);
    const Node first = add(root, 0);
    const PrefixCache::Place legal{first, "legal*1", 64};
    const Node adapted = add(legal, 100);
    ASSERT_TRUE(cache.find(legal, pageOf(100)));
    EXPECT_EQ(cache.find(legal, pageOf(100))->node, adapted);
    EXPECT_FALSE(cache.find(first, pageOf(100))) << "the base has no such page";
    EXPECT_FALSE(cache.find({first, "legal*2", 64}, pageOf(100)));
    EXPECT_FALSE(cache.find({first, "legal*1", 0}, pageOf(100)));
    EXPECT_FALSE(cache.find({root, "legal*1", 64}, pageOf(100)));
    const Node base = add(first, 100);
    EXPECT_NE(base, adapted) << "the same tokens, with and without the adapter";
    EXPECT_EQ(cache.pages(), 3u);
}

TEST_F(PrefixCacheTest, ABranchGoesWithItsLastPageOrWithItsPrefix) {
    const Node root = cache.root(kSource);
    const PrefixCache::Place legal{root, "legal*1", 0};
    const Node adapted = add(legal, 0);
    EXPECT_TRUE(cache.evictOldest());
    EXPECT_FALSE(cache.find(legal, pageOf(0)));
    EXPECT_FALSE(cache.insert(adapted, pageOf(100), *pool.take(64))) << "its parent is gone";
    const Node again = add(legal, 0);
    EXPECT_NE(again, adapted);
    EXPECT_TRUE(cache.find(legal, pageOf(0)));

    const Node first = add(root, 200);
    const PrefixCache::Place behind{first, "legal*1", 64};
    add(behind, 300);
    cache.touch(std::vector{again});
    while (cache.find(root, pageOf(200)))
        ASSERT_TRUE(cache.evictOldest());
    EXPECT_FALSE(cache.find(behind, pageOf(300)));
    EXPECT_FALSE(cache.insert(behind, pageOf(300), *pool.take(64)));
    while (cache.evictOldest()) {
    }
    EXPECT_EQ(cache.pages(), 0u);
}

TEST_F(PrefixCacheTest, APageThatASequenceHoldsStays) {
    const Node root = cache.root(kSource);
    const auto held = pool.take(64);
    ASSERT_TRUE(cache.insert(root, pageOf(0), *held));
    add(root, 100);
    EXPECT_TRUE(cache.evictOldest());
    EXPECT_TRUE(cache.find(root, pageOf(0)));
    EXPECT_FALSE(cache.evictOldest());
    pool.release(*held);
    EXPECT_TRUE(cache.evictOldest());
}

}  // namespace
}  // namespace conclave::engine::scheduler
