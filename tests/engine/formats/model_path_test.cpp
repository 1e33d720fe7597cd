// Paths that are no model files, and the model files that must open.

#include <chrono>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/formats/gguf.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/safetensors.h"
#include "tests/engine/formats/gguf_builder.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

/// Both readers give the same code, at once.
Code codeOf(const std::string& path) {
    const auto start = std::chrono::steady_clock::now();
    TensorDirectory into;
    const auto safetensors = readSafetensors(path, into);
    const auto gguf = GgufFile::open(path);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1)) << path;
    if (gguf.ok() || safetensors.ok()) return Code::Internal;
    EXPECT_EQ(gguf.error().code, safetensors.error().code) << path;
    EXPECT_EQ(gguf.error().file, path);
    return gguf.error().code;
}

TEST(ModelPath, SpecialFilesAreRefusedWithoutBlocking) {
    const ScratchFolder folder;
    ASSERT_EQ(::mkfifo(folder.path("fifo.gguf").c_str(), 0600), 0);
    EXPECT_EQ(codeOf(folder.path("fifo.gguf")), Code::FileNotRegular);
    EXPECT_EQ(codeOf("/dev/zero"), Code::FileNotRegular);
    EXPECT_EQ(codeOf("/dev/null"), Code::FileNotRegular);
    EXPECT_EQ(codeOf(folder.path()), Code::FileNotRegular);
    EXPECT_EQ(codeOf(folder.write("empty.gguf", "")), Code::FileEmpty);
    EXPECT_EQ(codeOf(folder.path("none.gguf")), Code::FileNotFound);
    ASSERT_EQ(::symlink("/dev/zero", folder.path("link.gguf").c_str()), 0);
    EXPECT_EQ(codeOf(folder.path("link.gguf")), Code::FileNotRegular);
    ASSERT_EQ(::symlink("nothing", folder.path("dangling.gguf").c_str()), 0);
    EXPECT_EQ(codeOf(folder.path("dangling.gguf")), Code::FileNotFound);
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder.path("s.gguf");
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(codeOf(path), Code::FileNotRegular);
    ::close(descriptor);
}

TEST(ModelPath, AGoodFileOpens) {
    const ScratchFolder folder;
    const auto file = GgufFile::open(folder.write("small.gguf", smallGguf().build()));
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->tensors().unchanged());
    EXPECT_EQ(file->path(), folder.path("small.gguf"));
}

TEST(ModelPath, BytesThatWereGivenBackCanBeReadAgain) {
    const ScratchFolder folder;
    const auto file = GgufFile::open(folder.write("small.gguf", smallGguf().build()));
    ASSERT_TRUE(file.ok());
    const TensorInfo* tensor = file->tensors().find("blk.0.w.weight");
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->bytes[67], std::byte{2});
    file->tensors().giveBack(tensor->bytes);
    EXPECT_EQ(tensor->bytes[67], std::byte{2});
    const std::string bytes = smallGguf().build();
    const auto inMemory = GgufFile::parse(asBytes(bytes), "small.gguf");
    ASSERT_TRUE(inMemory.ok());
    inMemory->tensors().giveBack(inMemory->tensors().find("blk.0.w.weight")->bytes);
    EXPECT_EQ(inMemory->tensors().find("blk.0.w.weight")->bytes[67], std::byte{2});
}

TEST(ModelPath, EveryFileOfTheCollectionOpens) {
    const std::filesystem::path shared = CONCLAVE_SOURCE_DIR "/../shared";
    if (!std::filesystem::exists(shared / "models"))
        GTEST_SKIP() << "the collection of models is not beside this checkout";
    size_t opened = 0;
    for (const char* folder : {"models", "starter", "tokenizers"}) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / folder)) {
            const std::string path = entry.path().string();
            if (entry.path().extension() == ".gguf") {
                const auto file = GgufFile::open(path);
                EXPECT_TRUE(file.ok()) << render(file.error());
            } else if (entry.path().extension() == ".safetensors") {
                TensorDirectory into;
                const auto file = readSafetensors(path, into);
                EXPECT_TRUE(file.ok()) << render(file.error());
            } else if (entry.path().filename() == "config.json") {
                const auto model = openHfFolder(entry.path().parent_path().string(), Weights::WithWeights);
                EXPECT_TRUE(model.ok()) << render(model.error());
            } else {
                continue;
            }
            ++opened;
        }
    }
    EXPECT_GT(opened, 50u);
}

}  // namespace
}  // namespace conclave::engine::formats
