#include "engine/formats/gguf.h"

#include <gtest/gtest.h>

#include "tests/engine/formats/gguf_builder.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

TEST(Gguf, ReadsEveryTypeOfValue) {
    for (const uint32_t version : {2u, 3u}) {
        GgufBuilder builder = smallGguf();
        builder.version = version;
        const std::string bytes = builder.build();
        const auto file = GgufFile::parse(asBytes(bytes), "small.gguf");
        ASSERT_TRUE(file.ok()) << render(file.error());
        EXPECT_EQ(file->version(), version);
        EXPECT_EQ(file->text("general.architecture").value(), "llama");
        EXPECT_EQ(file->unsignedInt("a.u8").value(), 200u);
        EXPECT_EQ(file->signedInt("a.i8").value(), -5);
        EXPECT_EQ(file->unsignedInt("a.u16").value(), 60000u);
        EXPECT_EQ(file->signedInt("a.i16").value(), -300);
        EXPECT_EQ(file->signedInt("a.u32").value(), 4000000000);
        EXPECT_EQ(file->signedInt("a.i32").value(), -70000);
        EXPECT_EQ(file->number("a.f32").value(), 0.5);
        EXPECT_EQ(file->number("a.u8").value(), 200.0);
        EXPECT_EQ(file->number("a.f64").value(), 0.1);
        EXPECT_TRUE(file->boolean("a.bool").value());
        EXPECT_EQ(file->unsignedInt("a.u64").value(), uint64_t{1} << 63);
        EXPECT_EQ(file->signedInt("a.i64").value(), -(int64_t{1} << 40));
        EXPECT_EQ(*file->texts("l.texts").value(), (TextList{"a", "", "\xE4\xBD\xA0"}));
        EXPECT_EQ(file->floats("l.floats").value(), (std::vector<float>{1.5f, -2.0f}));
        EXPECT_EQ(file->integers("l.ints").value(), (std::vector<int64_t>{7, -7}));
        EXPECT_EQ(file->integers("l.none").value(), std::vector<int64_t>{});
        EXPECT_EQ(std::get<std::vector<bool>>(std::get<GgufArray>(file->metadata().find("l.bools")->second)),
                  (std::vector<bool>{true, false, true}));
    }
}

TEST(Gguf, TensorsAreViewsIntoTheFile) {
    const std::string bytes = smallGguf().build();
    const auto file = GgufFile::parse(asBytes(bytes), "small.gguf");
    ASSERT_TRUE(file.ok());
    ASSERT_EQ(file->tensors().all().size(), 3u);
    const TensorInfo* matrix = file->tensors().find("blk.0.w.weight");
    ASSERT_NE(matrix, nullptr);
    EXPECT_EQ(matrix->format, quant::Format::Q8_0);
    EXPECT_EQ(matrix->shape, (std::vector<uint64_t>{2, 32}));
    EXPECT_EQ(matrix->bytes.size(), 68u);
    EXPECT_EQ(matrix->bytes[0], std::byte{2});
    EXPECT_GE(reinterpret_cast<const char*>(matrix->bytes.data()), bytes.data());
    EXPECT_LE(reinterpret_cast<const char*>(matrix->bytes.data()) + 68, bytes.data() + bytes.size());
    EXPECT_EQ(file->tensors().find("blk.0.experts.weight")->shape, (std::vector<uint64_t>{3, 2, 16}));
    EXPECT_EQ(file->tensors().find("nothing"), nullptr);
    EXPECT_EQ(file->tensors().totalBytes(), 32u + 68u + 192u);
}

TEST(Gguf, AWrongTypeOrRangeIsAnErrorAndNeverAnotherValue) {
    const std::string bytes = smallGguf().build();
    const auto file = GgufFile::parse(asBytes(bytes), "small.gguf");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->text("a.u8").error().code, Code::WrongType);
    EXPECT_EQ(file->unsignedInt("a.f32").error().code, Code::WrongType);
    EXPECT_EQ(file->unsignedInt("a.bool").error().code, Code::WrongType);
    EXPECT_EQ(file->boolean("a.u8").error().code, Code::WrongType);
    EXPECT_EQ(file->number("general.name").error().code, Code::WrongType);
    EXPECT_EQ(file->number("a.bool").error().code, Code::WrongType);
    EXPECT_EQ(file->floats("l.ints").error().code, Code::WrongType);
    EXPECT_EQ(file->integers("l.floats").error().code, Code::WrongType);
    EXPECT_EQ(file->integers("l.bools").error().code, Code::WrongType);
    EXPECT_EQ(file->texts("a.u8").error().code, Code::WrongType);
    EXPECT_EQ(file->unsignedInt("l.ints").error().code, Code::WrongType);
    EXPECT_EQ(file->unsignedInt("a.i8").error().code, Code::ValueOutOfRange);
    EXPECT_EQ(file->signedInt("a.u64").error().code, Code::ValueOutOfRange);
    EXPECT_EQ(file->text("no.key").error().code, Code::MissingKey);
    EXPECT_EQ(file->unsignedInt("no.key", 7).value(), 7u);
    EXPECT_EQ(file->text("no.key", "x").value(), "x");
    // A default is for a missing key, not for one of another type.
    EXPECT_EQ(file->unsignedInt("a.f32", 7).error().code, Code::WrongType);
    EXPECT_EQ(file->boolean("a.u8", true).error().code, Code::WrongType);
}

TEST(Gguf, VocabularyOnlyFilesMayEndBehindTheHeader) {
    GgufBuilder builder;
    builder.text("general.architecture", "llama");
    const std::string bytes = builder.header();
    ASSERT_NE(bytes.size() % 32, 0u);
    EXPECT_TRUE(GgufFile::parse(asBytes(bytes), "v.gguf").ok());
    const std::string padded = builder.build();
    EXPECT_TRUE(GgufFile::parse(asBytes(padded), "v.gguf").ok());
}

TEST(Gguf, TheLastTensorNeedsNoPadding) {
    GgufBuilder builder = smallGguf();
    builder.tensor("last", {1}, 0, std::string(4, '\0'));
    std::string bytes = builder.build();
    bytes.resize(bytes.size() - 28);
    EXPECT_TRUE(GgufFile::parse(asBytes(bytes), "v.gguf").ok());
    bytes.resize(bytes.size() - 1);
    EXPECT_EQ(GgufFile::parse(asBytes(bytes), "v.gguf").error().code, Code::TensorOutOfFile);
}

TEST(Gguf, HonoursTheAlignmentOfTheFile) {
    for (const uint32_t alignment : {8u, 64u, 4096u}) {
        GgufBuilder builder;
        builder.alignment = alignment;
        builder.u32("general.alignment", alignment);
        builder.tensor("a", {3}, 0, std::string(12, '\1')).tensor("b", {3}, 0, std::string(12, '\2'));
        const std::string bytes = builder.build();
        const auto file = GgufFile::parse(asBytes(bytes), "a.gguf");
        ASSERT_TRUE(file.ok()) << render(file.error());
        EXPECT_EQ(file->tensors().find("b")->bytes[0], std::byte{2});
    }
}

TEST(Gguf, TensorsMayBeListedInAnyOrder) {
    GgufBuilder builder;
    builder.tensor("second", {8}, 0, uint64_t{32}).tensor("first", {8}, 0, uint64_t{0});
    builder.data = std::string(32, '\1') + std::string(32, '\2');
    const std::string bytes = builder.build();
    const auto file = GgufFile::parse(asBytes(bytes), "a.gguf");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->tensors().find("second")->bytes[0], std::byte{2});
}

/// One part of a split set, with one tensor named after it.
std::string part(uint16_t number, uint16_t count, const std::string& tensor,
                 std::optional<int32_t> tensors = {}) {
    GgufBuilder builder;
    builder.key("split.no", 2, raw(number)).key("split.count", 2, raw(count));
    if (tensors) builder.key("split.tensors.count", 5, raw(*tensors));
    return builder.tensor(tensor, {8}, 0, std::string(32, static_cast<char>(number))).build();
}

TEST(GgufSplit, PartsAreFoundBesideTheFirst) {
    const ScratchFolder folder;
    const std::string first = folder.write("m-00001-of-00003.gguf", part(0, 3, "a", 3));
    folder.write("m-00002-of-00003.gguf", part(1, 3, "b"));
    folder.write("m-00003-of-00003.gguf", part(2, 3, "c"));
    const auto file = GgufFile::open(first);
    ASSERT_TRUE(file.ok()) << render(file.error());
    EXPECT_EQ(file->tensors().all().size(), 3u);
    EXPECT_EQ(file->tensors().find("c")->bytes[0], std::byte{2});
    EXPECT_EQ(file->tensors().find("c")->file, folder.path("m-00003-of-00003.gguf"));
    EXPECT_TRUE(file->tensors().unchanged());
    folder.write("m-00002-of-00003.gguf", "short");
    EXPECT_FALSE(file->tensors().unchanged());
}

TEST(GgufSplit, WhatIsWrongIsSaid) {
    const ScratchFolder folder;
    const std::string first = folder.write("m-00001-of-00002.gguf", part(0, 2, "a", 2));
    EXPECT_EQ(GgufFile::open(first).error().code, Code::FileNotFound);
    const std::string second = folder.write("m-00002-of-00002.gguf", part(1, 2, "a"));
    EXPECT_EQ(GgufFile::open(first).error().code, Code::DuplicateName);
    folder.write("m-00002-of-00002.gguf", part(0, 2, "b"));
    EXPECT_EQ(GgufFile::open(first).error().code, Code::ValueOutOfRange);
    folder.write("m-00002-of-00002.gguf", part(1, 3, "b"));
    EXPECT_EQ(GgufFile::open(first).error().code, Code::ValueOutOfRange);
    folder.write("m-00002-of-00002.gguf", part(1, 2, "b"));
    EXPECT_TRUE(GgufFile::open(first).ok());
    EXPECT_EQ(GgufFile::open(second).error().code, Code::ValueOutOfRange);
    EXPECT_NE(render(GgufFile::open(second).error()).find("-00001-of-00002.gguf"), std::string::npos);
    const std::string renamed = folder.write("m.gguf", part(0, 2, "a", 2));
    EXPECT_EQ(GgufFile::open(renamed).error().code, Code::ValueOutOfRange);
    folder.write("m-00001-of-00002.gguf", part(0, 2, "a", 5));
    EXPECT_EQ(GgufFile::open(first).error().code, Code::ValueOutOfRange);
}

}  // namespace
}  // namespace conclave::engine::formats
