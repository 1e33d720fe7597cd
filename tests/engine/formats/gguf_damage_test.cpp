// What broken and hostile GGUF files get: an error with a code, no crash, no hang, no memory beyond a small
// multiple of the file.

#include <chrono>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/formats/gguf.h"
#include "tests/engine/formats/gguf_builder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

/// The error that the file gives. The bytes are copied to the end of a buffer of exactly their size, so that
/// the address sanitizer sees every read past it.
base::Error errorOf(const std::string& bytes) {
    const std::vector<std::byte> exact(asBytes(bytes).begin(), asBytes(bytes).end());
    auto file = GgufFile::parse(exact, "bad.gguf");
    if (file.ok()) return {Code::Internal, "", "it loaded", {}};
    EXPECT_FALSE(render(file.error()).empty());
    EXPECT_EQ(file.error().file, "bad.gguf");
    return file.error();
}

Code codeOf(const GgufBuilder& builder) {
    return errorOf(builder.build()).code;
}

TEST(GgufDamage, NotAGguf) {
    EXPECT_EQ(errorOf("PK\3\4 this is a zip file, is it not").code, Code::NotGguf);
    EXPECT_EQ(errorOf("<!doctype html>").code, Code::NotGguf);
    EXPECT_EQ(errorOf("GGUX").code, Code::NotGguf);
    EXPECT_EQ(errorOf("GGU").code, Code::FileTruncated);
    EXPECT_EQ(errorOf("").code, Code::FileTruncated);
}

TEST(GgufDamage, Versions) {
    for (const uint32_t version : {0u, 1u, 4u, 0x03000000u, 0xffffffffu}) {
        GgufBuilder builder = smallGguf();
        builder.version = version;
        EXPECT_EQ(codeOf(builder), Code::GgufVersion) << version;
    }
    GgufBuilder big = smallGguf();
    big.version = 0x03000000;
    EXPECT_NE(render(errorOf(big.build())).find("3 in big-endian form"), std::string::npos);
}

TEST(GgufDamage, HugeCounts) {
    for (const uint64_t count : {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{1} << 31, uint64_t{1000}}) {
        GgufBuilder tensors = smallGguf();
        tensors.tensorCount = count;
        EXPECT_EQ(codeOf(tensors), Code::LimitExceeded);
        GgufBuilder keys = smallGguf();
        keys.keyCount = count;
        EXPECT_EQ(codeOf(keys), Code::LimitExceeded);
    }
    // One more than there are: the next thing in the file is read as an entry and cannot be one.
    GgufBuilder oneMore = smallGguf();
    oneMore.keyCount = oneMore.addedKeys + 1;
    EXPECT_NE(codeOf(oneMore), Code::Internal);
}

TEST(GgufDamage, LengthsBeyondTheFile) {
    for (const uint64_t length : {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{100000}}) {
        GgufBuilder builder;
        builder.key("k", 8, raw(length) + "x");
        EXPECT_EQ(codeOf(builder), Code::FileTruncated);
        for (const uint32_t type : {0u, 4u, 6u, 7u, 8u, 12u}) {
            GgufBuilder array;
            array.array("k", type, length, "xxxxxxxx");
            EXPECT_EQ(codeOf(array), Code::FileTruncated) << type;
        }
        GgufBuilder name;
        name.keys = raw(length) + "name";
        name.addedKeys = 1;
        EXPECT_EQ(codeOf(name), Code::FileTruncated);
    }
}

TEST(GgufDamage, LegalButHugeTextsAreLimited) {
    GgufBuilder builder;
    builder.text("k", std::string((size_t{16} << 20) + 1, 'x'));
    EXPECT_EQ(codeOf(builder), Code::LimitExceeded);
    GgufBuilder key;
    key.u32(std::string(70000, 'k'), 1);
    EXPECT_EQ(codeOf(key), Code::LimitExceeded);
    GgufBuilder name;
    name.tensor(std::string(70000, 'n'), {8}, 0, std::string(32, '\0'));
    EXPECT_EQ(codeOf(name), Code::LimitExceeded);
}

TEST(GgufDamage, LegalButHugeArraysAreLimited) {
    GgufBuilder builder;
    builder.array("k", 0, (uint64_t{64} << 20) + 1, std::string((size_t{64} << 20) + 1, 'x'));
    EXPECT_EQ(codeOf(builder), Code::LimitExceeded);
}

TEST(GgufDamage, TypesOfMetadata) {
    GgufBuilder unknown;
    unknown.key("k", 13, raw(uint64_t{0}));
    EXPECT_EQ(codeOf(unknown), Code::MalformedFile);
    // An element type of which nobody knows the size must not loop over a count without reading.
    GgufBuilder elements;
    elements.array("k", 99, uint64_t{1} << 40, "");
    EXPECT_EQ(codeOf(elements), Code::MalformedFile);
    GgufBuilder nested;
    nested.array("k", 9, 1, raw(uint32_t{4}) + raw(uint64_t{0}));
    EXPECT_EQ(codeOf(nested), Code::WrongType);
    GgufBuilder truth;
    truth.key("k", 7, "\2");
    EXPECT_EQ(codeOf(truth), Code::MalformedFile);
    GgufBuilder truths;
    truths.array("k", 7, 2, "\1\2");
    EXPECT_EQ(codeOf(truths), Code::MalformedFile);
}

TEST(GgufDamage, Names) {
    for (const std::string& name : {std::string(), std::string("a\0b", 3), std::string("\xFF\xFE")}) {
        GgufBuilder key;
        key.u32(name, 1);
        EXPECT_EQ(codeOf(key), Code::MalformedFile);
        GgufBuilder tensor;
        tensor.tensor(name, {8}, 0, std::string(32, '\0'));
        EXPECT_EQ(codeOf(tensor), Code::MalformedFile);
    }
    GgufBuilder escape;
    escape.u32("\x1b[31m", 1).u32("\x1b[31m", 2);
    EXPECT_EQ(render(errorOf(escape.build())).find('\x1b'), std::string::npos);
}

TEST(GgufDamage, Duplicates) {
    GgufBuilder key;
    key.u32("k", 1).u32("k", 2);
    EXPECT_EQ(codeOf(key), Code::DuplicateName);
    GgufBuilder tensor;
    tensor.tensor("t", {8}, 0, std::string(32, '\0')).tensor("t", {8}, 0, std::string(32, '\0'));
    EXPECT_EQ(codeOf(tensor), Code::DuplicateName);
}

TEST(GgufDamage, AlignmentTricks) {
    for (const uint32_t alignment : {0u, 1u, 3u, 4u, 48u, 1u << 21, 1u << 31, 0xffffffffu}) {
        GgufBuilder builder;
        builder.u32("general.alignment", alignment).tensor("t", {8}, 0, std::string(32, '\0'));
        EXPECT_EQ(codeOf(builder), Code::ValueOutOfRange) << alignment;
    }
    for (const uint32_t type : {0u, 5u, 6u, 8u, 10u}) {
        GgufBuilder builder;
        builder.key("general.alignment", type,
                    type == 8 ? rawText("32")
                              : raw(uint64_t{32})
                                    .substr(0, type == 0    ? 1
                                               : type == 10 ? 8
                                                            : 4));
        EXPECT_EQ(codeOf(builder), Code::WrongType) << type;
    }
    GgufBuilder array;
    array.array("general.alignment", 4, 1, raw(32u));
    EXPECT_EQ(codeOf(array), Code::WrongType);
}

TEST(GgufDamage, Dimensions) {
    const uint64_t huge = uint64_t{1} << 62;
    const std::vector<std::vector<uint64_t>> shapes = {{},
                                                       {1, 1, 1, 1, 1},
                                                       {0},
                                                       {8, 0},
                                                       {huge, 4},
                                                       {huge, huge},
                                                       {8, huge},
                                                       {8, huge, huge},
                                                       {~uint64_t{0}},
                                                       {4, 1u << 31, 1u << 31, 8}};
    for (const auto& shape : shapes) {
        GgufBuilder builder;
        builder.tensor("t", shape, 0, std::string(32, '\0'));
        const Code code = codeOf(builder);
        EXPECT_TRUE(code == Code::MalformedFile || code == Code::TensorOutOfFile)
            << render(errorOf(builder.build()));
    }
    GgufBuilder many;
    many.tensors = rawText("t") + raw(uint32_t{0xffffffff}) + raw(uint64_t{1});
    many.addedTensors = 1;
    many.data = std::string(64, '\0');
    EXPECT_EQ(codeOf(many), Code::MalformedFile);
    GgufBuilder blocks;
    blocks.tensor("t", {33}, 8, std::string(64, '\0'));
    EXPECT_EQ(codeOf(blocks), Code::MalformedFile);
}

TEST(GgufDamage, TypesThatAreNotReadAreNamedWithTheConversion) {
    struct Case {
        uint32_t type;
        const char *name, *advice;
    };
    for (const Case& row :
         {Case{16, "IQ2_XXS", "Q2_K"}, Case{22, "IQ2_S", "Q2_K"}, Case{18, "IQ3_XXS", "Q3_K_M"},
          Case{34, "TQ1_0", "Q4_K_M"}, Case{40, "NVFP4", "Q4_K_M"}, Case{31, "Q4_0_4_4", "Q4_0"},
          Case{28, "F64", "F32"}}) {
        GgufBuilder builder;
        builder.tensor("t", {256}, row.type, std::string(1024, '\0'));
        const base::Error error = errorOf(builder.build());
        EXPECT_EQ(error.code, Code::UnsupportedFormat);
        EXPECT_NE(render(error).find(row.name), std::string::npos) << render(error);
        EXPECT_NE(render(error).find(row.advice), std::string::npos) << render(error);
    }
    GgufBuilder unknown;
    unknown.tensor("t", {256}, 12345, std::string(1024, '\0'));
    EXPECT_EQ(codeOf(unknown), Code::MalformedFile);
}

TEST(GgufDamage, PlacesOfTensors) {
    const auto place = [](uint64_t first, uint64_t second, size_t bytes) {
        GgufBuilder builder;
        builder.tensor("a", {16}, 0, first).tensor("b", {16}, 0, second);
        builder.data = std::string(bytes, '\0');
        return codeOf(builder);
    };
    EXPECT_EQ(place(0, 64, 128), Code::Internal);  // this one is right
    EXPECT_EQ(place(0, 64, 127), Code::TensorOutOfFile);
    EXPECT_EQ(place(0, 0, 128), Code::TensorOverlap);
    EXPECT_EQ(place(0, 32, 128), Code::TensorOverlap);
    EXPECT_EQ(place(0, 60, 128), Code::TensorMisaligned);
    EXPECT_EQ(place(0, 65, 256), Code::TensorMisaligned);
    EXPECT_EQ(place(0, 96, 160), Code::MalformedFile);   // a hole
    EXPECT_EQ(place(32, 96, 160), Code::MalformedFile);  // before the first
    EXPECT_EQ(place(0, ~uint64_t{0} - 31, 128), Code::TensorOutOfFile);
    EXPECT_EQ(place(0, uint64_t{1} << 63, 128), Code::TensorOutOfFile);
}

TEST(GgufDamage, NothingMayFollowTheLastTensor) {
    const std::string bytes = smallGguf().build();
    EXPECT_EQ(errorOf(bytes + "x").code, Code::MalformedFile);
    EXPECT_EQ(errorOf(bytes + "PK\3\4 a second file behind the first").code, Code::MalformedFile);
    GgufBuilder vocabulary;
    vocabulary.u32("k", 1);
    EXPECT_EQ(errorOf(vocabulary.build() + std::string(64, '\0')).code, Code::MalformedFile);
}

TEST(GgufDamage, EverySingleByteCut) {
    const std::string bytes = smallGguf().build();
    const size_t last = bytes.size();
    for (size_t length = 0; length < last; ++length) {
        const base::Error error = errorOf(bytes.substr(0, length));
        EXPECT_NE(error.code, Code::Internal) << "cut to " << length << ": " << render(error);
        EXPECT_TRUE(error.code == Code::FileTruncated || error.code == Code::TensorOutOfFile ||
                    error.code == Code::LimitExceeded)
            << length << ": " << render(error);
    }
}

TEST(GgufDamage, EverySingleBitFlip) {
    GgufBuilder builder = smallGguf();
    std::string tokens;
    for (int i = 0; i < 100; ++i)
        tokens += rawText("token" + std::to_string(i));
    builder.array("tokenizer.ggml.tokens", 8, 100, tokens);
    for (int i = 0; i < 20; ++i)
        builder.tensor("blk." + std::to_string(i) + ".attn_q.weight", {32, 2}, 0, std::string(256, '\1'));
    const std::string good = builder.build();
    const size_t header = builder.header().size();
    ASSERT_GE(header, 2048u);
    ASSERT_LE(header, 8192u);
    size_t loaded = 0, refused = 0;
    const auto start = std::chrono::steady_clock::now();
    for (size_t at = 0; at < header; ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string bytes = good;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            const auto before = std::chrono::steady_clock::now();
            const auto file = GgufFile::parse(asBytes(bytes), "flipped.gguf");
            EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1))
                << at << " bit " << bit;
            if (file.ok()) {
                ++loaded;
                for (const TensorInfo& tensor : file->tensors().all())
                    EXPECT_LE(reinterpret_cast<const char*>(tensor.bytes.data() + tensor.bytes.size()),
                              bytes.data() + bytes.size());
            } else {
                ++refused;
                EXPECT_NE(file.error().code, Code::Internal);
            }
        }
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
    EXPECT_GT(loaded, 0u);
    EXPECT_GT(refused, loaded / 4);
}

TEST(GgufDamage, ClaimsCostNoMemory) {
    const auto peak = [] {
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss;  // KiB
    };
    const long before = peak();
    for (const uint64_t count : {uint64_t{1} << 60, uint64_t{1} << 40, uint64_t{1} << 26}) {
        GgufBuilder builder = smallGguf();
        builder.tensorCount = count;
        codeOf(builder);
        for (const uint32_t type : {0u, 7u, 8u, 12u}) {
            GgufBuilder array;
            array.array("k", type, count, std::string(1024, '\0'));
            codeOf(array);
        }
    }
    EXPECT_LT(peak() - before, 64 * 1024);
}

}  // namespace
}  // namespace conclave::engine::formats
