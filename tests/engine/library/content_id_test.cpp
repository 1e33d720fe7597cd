#include "engine/library/content_id.h"

#include "tests/engine/library/folder.h"

namespace conclave::engine::library {
namespace {

using testing::TestFolder;

std::string hashOf(const std::vector<std::string>& files, const TestFolder& folder) {
    const auto hash = hashContent(files, folder.at("hashes"), {});
    EXPECT_TRUE(hash.ok()) << base::render(hash.error());
    return hash.ok() ? hash->sha256 : "";
}

void makeOld(const std::string& path) {
    std::filesystem::last_write_time(path,
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
}

TEST(ContentHash, IsThatOfTheSortedList) {
    const TestFolder folder;
    const std::string one = folder.write("a/one.bin", "abc"), two = folder.write("b/two.bin", "xyz!");
    // sha256 of "<sha256 of the content> <size> <name>\n", by coreutils' sha256sum.
    EXPECT_EQ(hashOf({one}, folder), "5156938cb6a18c162cbaf92dfef761b8f71af37cc83084fcc7765bba26508ce7");
    EXPECT_EQ(hashOf({one, two}, folder), "46c989836a706f33a8cf397a2cc3f12b887b516663b50fab49158cbb8162e72c");
    EXPECT_EQ(hashOf({two, one}, folder), "46c989836a706f33a8cf397a2cc3f12b887b516663b50fab49158cbb8162e72c");
}

TEST(ContentHash, IsRememberedByIdentityAndForgottenWithIt) {
    const TestFolder folder;
    const std::string file = folder.write("one.bin", "abc");
    makeOld(file);
    const std::string first = hashOf({file}, folder);
    nlohmann::json cache = nlohmann::json::parse(std::ifstream(folder.at("hashes/file-hashes.json")));
    ASSERT_EQ(cache.size(), 1u);
    const std::string key = cache.begin().key();
    cache[key] = std::string(64, '0');  // a planted value shows that the file is not read again
    folder.write("hashes/file-hashes.json", cache.dump());
    const std::string planted = hashOf({file}, folder);
    EXPECT_NE(planted, first);
    folder.write("one.bin", "abd");
    makeOld(file);
    EXPECT_NE(hashOf({file}, folder), planted);
    folder.write("hashes/file-hashes.json", "damaged {");
    folder.write("one.bin", "abc");
    makeOld(file);
    EXPECT_EQ(hashOf({file}, folder), first);
}

TEST(ContentHash, AFileChangedJustNowIsNotRemembered) {
    const TestFolder folder;
    const std::string file = folder.write("one.bin", "abc");
    const std::string first = hashOf({file}, folder);
    folder.write("one.bin", "abd");  // perhaps within the same tick of the clock
    EXPECT_NE(hashOf({file}, folder), first);
    EXPECT_FALSE(std::filesystem::exists(folder.at("hashes/file-hashes.json")));
}

TEST(ContentHash, SaysWhyTheCacheCannotBeWrittenAndGoesOn) {
    const TestFolder folder;
    const std::string file = folder.write("one.bin", "abc");
    makeOld(file);
    folder.write("hashes", "a file where a folder is wanted");
    const auto hash = hashContent({file}, folder.at("hashes"), {});
    ASSERT_TRUE(hash.ok());
    EXPECT_NE(hash->cacheProblem, "");
}

TEST(ContentHash, TellsItsProgressAndItsErrors) {
    const TestFolder folder;
    const std::string file = folder.write("big.bin", std::string(3 << 20, 'x'));
    uint64_t last = 0;
    ASSERT_TRUE(hashContent({file}, folder.at("hashes"), [&](uint64_t done, uint64_t total) {
                    EXPECT_GT(done, last);
                    EXPECT_EQ(total, uint64_t{3} << 20);
                    last = done;
                }).ok());
    EXPECT_EQ(last, uint64_t{3} << 20);
    const auto missing = hashContent({folder.at("nothing")}, folder.at("hashes"), {});
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().code, base::Code::FileNotFound);
}

TEST(IdentityHash, TellsFilesApartWithoutReadingThem) {
    const TestFolder folder;
    const std::string a = folder.write("a", "abc"), b = folder.write("b", "abc");
    EXPECT_EQ(*hashOfIdentities({a}), *hashOfIdentities({a}));
    EXPECT_NE(*hashOfIdentities({a}), *hashOfIdentities({b}));
    EXPECT_FALSE(hashOfIdentities({folder.at("nothing")}).ok());
}

}  // namespace
}  // namespace conclave::engine::library
