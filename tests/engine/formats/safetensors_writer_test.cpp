#include "engine/formats/safetensors_writer.h"

#include <cstring>
#include <gtest/gtest.h>

#include "engine/formats/safetensors.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using quant::Format;

std::vector<std::byte> bytesFrom(size_t count, int first) {
    std::vector<std::byte> out(count);
    for (size_t i = 0; i < count; ++i)
        out[i] = static_cast<std::byte>(first + static_cast<int>(i));
    return out;
}

SafetensorsWriteTensor tensor(const std::string& name, Format format, std::vector<uint64_t> shape,
                              std::vector<std::byte> bytes) {
    return {name, format, std::move(shape), [bytes = std::move(bytes)] { return bytes; }};
}

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
    const ScratchFolder scratch;
    const std::string path = scratch.path("a.safetensors");
    ASSERT_TRUE(writeSafetensors(path, {tensor("b", Format::F32, {2, 3}, bytesFrom(24, 1)),
                                        tensor("a \"quoted\"", Format::BF16, {5}, bytesFrom(10, 40)),
                                        tensor("c", Format::F16, {1, 1}, bytesFrom(2, 90))})
                    .ok());
    TensorDirectory read;
    const auto done = readSafetensors(path, read);
    ASSERT_TRUE(done.ok()) << base::render(done.error());
    ASSERT_EQ(read.all().size(), 3u);
    EXPECT_EQ(read.all()[0].name, "b");
    EXPECT_EQ(read.all()[0].shape, (std::vector<uint64_t>{2, 3}));
    EXPECT_EQ(read.all()[1].format, Format::BF16);
    const TensorInfo* quoted = read.find("a \"quoted\"");
    ASSERT_NE(quoted, nullptr);
    EXPECT_EQ(std::memcmp(quoted->bytes.data(), bytesFrom(10, 40).data(), 10), 0);
    // The data begin at a multiple of 8.
    EXPECT_EQ((read.all()[0].bytes.data() - read.files()[0].bytes().data()) % 8, 0);
}

TEST(SafetensorsWriter, LeavesNothingWhereATensorFails) {
    const ScratchFolder scratch;
    const auto failed =
        writeSafetensors(scratch.path("a.safetensors"),
                         {{"a", Format::F32, {1}, []() -> base::Result<std::vector<std::byte>> {
                               return base::Error{Code::ValueOutOfRange, "x", "a", {"1e9", "less"}};
                           }}});
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, Code::ValueOutOfRange);
    EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
    EXPECT_EQ(writeSafetensors(scratch.path("no/such/folder"), {}).error().code, Code::FileWriteFailed);
}

}  // namespace
}  // namespace conclave::engine::formats
