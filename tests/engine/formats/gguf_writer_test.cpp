#include <csignal>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/formats/gguf.h"
#include "tests/engine/formats/gguf_builder.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

using Metadata = std::vector<std::pair<std::string, GgufValue>>;

GgufWriteTensor tensorOf(std::string name, quant::Format format, std::vector<uint64_t> shape,
                         std::string bytes, size_t piece) {
    return {std::move(name), format, std::move(shape),
            [bytes = std::move(bytes), piece](const auto& sink) -> base::Result<void> {
                for (size_t at = 0; at < bytes.size(); at += piece)
                    CONCLAVE_TRY_VOID(sink(asBytes(bytes).subspan(at, std::min(piece, bytes.size() - at))));
                return {};
            }};
}

Metadata everyType() {
    Metadata metadata;
    metadata.emplace_back("general.architecture", GgufScalar(std::string("llama")));
    metadata.emplace_back("s.u8", GgufScalar(uint8_t{255}));
    metadata.emplace_back("s.i8", GgufScalar(int8_t{-1}));
    metadata.emplace_back("s.u16", GgufScalar(uint16_t{1}));
    metadata.emplace_back("s.i16", GgufScalar(int16_t{-2}));
    metadata.emplace_back("s.u32", GgufScalar(uint32_t{3}));
    metadata.emplace_back("s.i32", GgufScalar(int32_t{-4}));
    metadata.emplace_back("s.f32", GgufScalar(0.25f));
    metadata.emplace_back("s.bool", GgufScalar(true));
    metadata.emplace_back("s.u64", GgufScalar(~uint64_t{0}));
    metadata.emplace_back("s.i64", GgufScalar(int64_t{-5}));
    metadata.emplace_back("s.f64", GgufScalar(1e300));
    metadata.emplace_back("a.texts", GgufArray(std::vector<std::string>{"x", "", "yz"}));
    metadata.emplace_back("a.bools", GgufArray(std::vector<bool>{true, false}));
    metadata.emplace_back("a.u8", GgufArray(std::vector<uint8_t>{1, 2, 3}));
    metadata.emplace_back("a.i64", GgufArray(std::vector<int64_t>{-9}));
    metadata.emplace_back("a.f64", GgufArray(std::vector<double>{0.5}));
    return metadata;
}

TEST(GgufWriter, WhatIsWrittenIsRead) {
    const ScratchFolder folder;
    const std::string path = folder.path("out.gguf");
    const Metadata metadata = everyType();
    std::vector<GgufWriteTensor> tensors;
    tensors.push_back(tensorOf("a", quant::Format::F32, {3}, std::string(12, '\1'), 5));
    tensors.push_back(tensorOf("b", quant::Format::Q8_0, {2, 3, 64}, std::string(408, '\2'), 1000));
    tensors.push_back(tensorOf("c", quant::Format::BF16, {1, 7}, std::string(14, '\3'), 14));
    uint64_t last = 0, whole = 0;
    const auto written = writeGguf(path, metadata, tensors, [&](uint64_t done, uint64_t total) {
        EXPECT_GE(done, last);
        last = done;
        whole = total;
    });
    ASSERT_TRUE(written.ok()) << render(written.error());
    EXPECT_EQ(last, whole);
    const auto file = GgufFile::open(path);
    ASSERT_TRUE(file.ok()) << render(file.error());
    EXPECT_EQ(file->version(), 3u);
    EXPECT_EQ(file->metadata().size(), metadata.size());
    for (const auto& [key, value] : metadata)
        EXPECT_EQ(file->metadata().find(key)->second, value) << key;
    const TensorInfo* b = file->tensors().find("b");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->shape, (std::vector<uint64_t>{2, 3, 64}));
    EXPECT_EQ(b->bytes.size(), 408u);
    EXPECT_EQ(b->bytes[407], std::byte{2});
    EXPECT_EQ(file->tensors().find("c")->bytes[13], std::byte{3});
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()),
                            std::filesystem::directory_iterator()),
              1);
}

TEST(GgufWriter, AFailedWriteLeavesNothingAndKeepsTheOldFile) {
    const ScratchFolder folder;
    const std::string path = folder.write("out.gguf", "old");
    std::vector<GgufWriteTensor> tensors;
    tensors.push_back({"t", quant::Format::F32, {8}, [](const auto&) -> base::Result<void> {
                           return base::Error{Code::InvalidNumbers, "", "", {}};
                       }});
    EXPECT_EQ(writeGguf(path, {}, tensors, {}).error().code, Code::InvalidNumbers);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()),
                            std::filesystem::directory_iterator()),
              1);
    EXPECT_EQ(std::filesystem::file_size(path), 3u);
}

TEST(GgufWriter, NoRoomIsAnErrorBeforeTheWork) {
    const ScratchFolder folder;
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit small = old;
    small.rlim_cur = 64 * 1024;
    setrlimit(RLIMIT_FSIZE, &small);
    std::vector<GgufWriteTensor> tensors;
    tensors.push_back(tensorOf("t", quant::Format::F32, {1 << 20}, std::string(4 << 20, '\1'), 1 << 16));
    const auto written = writeGguf(folder.path("out.gguf"), {}, tensors, {});
    setrlimit(RLIMIT_FSIZE, &old);
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, Code::FileWriteFailed);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(GgufWriter, AFolderThatIsNotThereIsAnError) {
    EXPECT_EQ(writeGguf("/nowhere/at/all.gguf", {}, {}, {}).error().code, Code::FileWriteFailed);
}

}  // namespace
}  // namespace conclave::engine::formats
