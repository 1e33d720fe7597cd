#include "engine/formats/safetensors.h"

#include <chrono>
#include <gtest/gtest.h>

#include "tests/engine/formats/gguf_builder.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

std::string file(const std::string& header, size_t dataBytes, char fill = '\1') {
    return raw(uint64_t{header.size()}) + header + std::string(dataBytes, fill);
}

Code codeOf(const std::string& bytes) {
    const std::vector<std::byte> exact(asBytes(bytes).begin(), asBytes(bytes).end());
    TensorDirectory into;
    const auto read = parseSafetensors(exact, "bad.safetensors", into);
    if (read.ok()) return Code::Internal;
    EXPECT_FALSE(render(read.error()).empty());
    return read.error().code;
}

const char* kGood =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
    R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},"s":{"dtype":"F16","shape":[],"data_offsets":[22,24]}}  )";

TEST(Safetensors, ReadsTensorsAsViews) {
    const std::string bytes = file(kGood, 24);
    TensorDirectory into;
    ASSERT_TRUE(parseSafetensors(asBytes(bytes), "a", into).ok());
    ASSERT_EQ(into.all().size(), 3u);
    EXPECT_EQ(into.find("a")->shape, (std::vector<uint64_t>{2, 2}));
    EXPECT_EQ(into.find("b")->format, quant::Format::BF16);
    EXPECT_EQ(into.find("b")->bytes.size(), 6u);
    EXPECT_EQ(into.find("s")->shape.size(), 0u);
    EXPECT_EQ(into.find("s")->bytes.data() + 2, asBytes(bytes).data() + bytes.size());
}

TEST(Safetensors, EveryTypeThatIsRead) {
    const std::pair<const char*, quant::Format> rows[] = {
        {"F32", quant::Format::F32},        {"F16", quant::Format::F16}, {"BF16", quant::Format::BF16},
        {"F8_E4M3", quant::Format::F8E4M3}, {"I32", quant::Format::I32}, {"I64", quant::Format::I64},
        {"U8", quant::Format::U8}};
    for (const auto& [name, format] : rows) {
        const size_t bytes = quant::info(format).blockBytes * 6;
        TensorDirectory into;
        const std::string content = file(std::string(R"({"t":{"shape":[2,3],"dtype":")") + name +
                                             R"(","data_offsets":[0,)" + std::to_string(bytes) + "]}}",
                                         bytes);
        ASSERT_TRUE(parseSafetensors(asBytes(content), "a", into).ok()) << name;
        EXPECT_EQ(into.find("t")->format, format);
    }
}

TEST(Safetensors, OthersAreNamed) {
    for (const char* name : {"F64", "F8_E5M2", "BOOL", "I8"}) {
        TensorDirectory into;
        const std::string content =
            file(std::string(R"({"t":{"dtype":")") + name + R"(","shape":[1],"data_offsets":[0,8]}})", 8);
        const auto read = parseSafetensors(asBytes(content), "a", into);
        ASSERT_FALSE(read.ok());
        EXPECT_EQ(read.error().code, Code::UnsupportedFormat);
        EXPECT_NE(render(read.error()).find(name), std::string::npos);
    }
    EXPECT_EQ(codeOf(file(R"({"t":{"dtype":"X99","shape":[1],"data_offsets":[0,8]}})", 8)),
              Code::MalformedFile);
}

TEST(Safetensors, Headers) {
    EXPECT_EQ(codeOf(raw(uint64_t{1} << 63) + "{}"), Code::LimitExceeded);
    EXPECT_EQ(codeOf(raw(uint64_t{100'000'001}) + "{}"), Code::LimitExceeded);
    EXPECT_EQ(codeOf(raw(uint64_t{50}) + "{}"), Code::FileTruncated);
    EXPECT_EQ(codeOf("1234567"), Code::FileTruncated);
    EXPECT_EQ(codeOf(""), Code::FileTruncated);
    EXPECT_EQ(codeOf(file("", 0)), Code::MalformedFile);
    EXPECT_EQ(codeOf(file(" {}", 0)), Code::MalformedFile);
    EXPECT_EQ(codeOf(file("[]", 0)), Code::MalformedFile);
    EXPECT_EQ(codeOf(file("{", 0)), Code::InvalidJson);
    EXPECT_EQ(codeOf(file("{}x", 0)), Code::InvalidJson);
    EXPECT_EQ(codeOf(file("{}{}", 0)), Code::InvalidJson);
    EXPECT_EQ(codeOf(file("{\"\xFF\":1}", 0)), Code::InvalidUtf8);
    EXPECT_EQ(codeOf(file(R"({"\ud800":1})", 0)), Code::InvalidJson);
    EXPECT_EQ(codeOf(file("{}", 0)), Code::Internal);  // no tensors: right, and of no use
}

TEST(Safetensors, ShapeOfTheHeader) {
    for (
        const char* header : {
            R"({"t":1})",
            R"({"t":null})",
            R"({"t":[]})",
            R"({"t":{}})",
            R"({"t":"x"})",
            R"({"t":{"dtype":"U8","shape":[1]}})",
            R"({"t":{"dtype":"U8","data_offsets":[0,1]}})",
            R"({"t":{"shape":[1],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0]}})",
            R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})",
            R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})",
            R"({"t":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":{"a":1},"data_offsets":[0,1]}})",
            R"({"t":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"","shape":[1],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})",
            R"({"t":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"U8","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,1]}})",
            R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,1]}})",
            R"({"__metadata__":{"a":1},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
            R"({"__metadata__":{"a":{"b":"c"}},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
            R"({"__metadata__":"x","t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
        })
        EXPECT_EQ(codeOf(file(header, 1)), Code::MalformedFile) << header;
}

TEST(Safetensors, DuplicatesAreSeen) {
    EXPECT_EQ(
        codeOf(file(
            R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            8)),
        Code::DuplicateName);
    EXPECT_EQ(codeOf(file(R"({"t":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4)),
              Code::DuplicateName);
    EXPECT_EQ(codeOf(file(R"({"t":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4)),
              Code::DuplicateName);
    EXPECT_EQ(codeOf(file(R"({"__metadata__":{},"__metadata__":{}})", 0)), Code::DuplicateName);
    EXPECT_EQ(codeOf(file(R"({"__metadata__":{"a":"1","a":"2"}})", 0)), Code::DuplicateName);
    TensorDirectory into;
    const std::string one = file(R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4);
    ASSERT_TRUE(parseSafetensors(asBytes(one), "first", into).ok());
    EXPECT_EQ(parseSafetensors(asBytes(one), "second", into).error().code, Code::DuplicateName);
}

TEST(Safetensors, PlacesOfTensors) {
    const auto place = [](const char* first, const char* second, size_t bytes) {
        return codeOf(file(std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + first +
                               R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                           bytes));
    };
    EXPECT_EQ(place("[0,4]", "[4,8]", 8), Code::Internal);  // these two are right
    EXPECT_EQ(place("[4,8]", "[0,4]", 8), Code::Internal);
    EXPECT_EQ(place("[0,4]", "[0,4]", 8), Code::TensorOverlap);
    EXPECT_EQ(place("[0,4]", "[2,6]", 8), Code::TensorOverlap);
    EXPECT_EQ(place("[0,4]", "[5,9]", 9), Code::MalformedFile);
    EXPECT_EQ(place("[1,5]", "[5,9]", 9), Code::MalformedFile);
    EXPECT_EQ(place("[0,4]", "[4,8]", 9), Code::MalformedFile);
    EXPECT_EQ(place("[0,4]", "[4,8]", 7), Code::TensorOutOfFile);
    EXPECT_EQ(place("[0,4]", "[18446744073709551612,18446744073709551615]", 8), Code::TensorOutOfFile);
    EXPECT_EQ(place("[0,4]", "[18446744073709551616,18446744073709551620]", 8), Code::MalformedFile);
}

TEST(Safetensors, DepthAndSizeCostLittle) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(codeOf(file("{\"t\":" + std::string(10'000'000, '['), 0)), Code::MalformedFile);
    EXPECT_EQ(codeOf(file("{\"__metadata__\":" + std::string(10'000'000, '{'), 0)), Code::InvalidJson);
    std::string many = "{";
    for (int i = 0; i < 100'000; ++i)
        many += (i ? ",\"t" : "\"t") + std::to_string(i) + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" +
                std::to_string(i) + "," + std::to_string(i + 1) + "]}";
    EXPECT_EQ(codeOf(file(many + "}", 100'000)), Code::Internal);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(Safetensors, EverySingleByteCut) {
    const std::string bytes = file(kGood, 24);
    for (size_t length = 0; length < bytes.size(); ++length)
        EXPECT_NE(codeOf(bytes.substr(0, length)), Code::Internal) << length;
}

TEST(Safetensors, EverySingleBitFlip) {
    const std::string good = file(kGood, 24);
    const auto start = std::chrono::steady_clock::now();
    size_t refused = 0;
    for (size_t at = 0; at < good.size() - 24; ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string bytes = good;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            refused += codeOf(bytes) != Code::Internal;
        }
    }
    EXPECT_GT(refused, good.size());
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

}  // namespace
}  // namespace conclave::engine::formats
