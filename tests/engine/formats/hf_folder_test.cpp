#include "engine/formats/hf_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/engine/formats/gguf_builder.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::formats {
namespace {

using base::Code;

std::string weights(const std::string& name, char fill = '\1') {
    const std::string header = "{\"" + name + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
    return raw(uint64_t{header.size()}) + header + std::string(4, fill);
}

Code codeOf(const ScratchFolder& folder, Weights wanted = Weights::WithWeights) {
    const auto opened = openHfFolder(folder.path(), wanted);
    return opened.ok() ? Code::Internal : opened.error().code;
}

TEST(HfFolder, ReadsWhatIsThere) {
    const ScratchFolder folder;
    folder.write("config.json", R"({"model_type":"llama"})");
    folder.write("generation_config.json", R"({"eos_token_id":[1,2]})");
    folder.write("tokenizer.json", "{}");
    folder.write("model.safetensors", weights("a"));
    const auto opened = openHfFolder(folder.path(), Weights::WithWeights);
    ASSERT_TRUE(opened.ok()) << render(opened.error());
    EXPECT_EQ(opened->config["model_type"], "llama");
    EXPECT_EQ((*opened->generationConfig)["eos_token_id"].size(), 2u);
    EXPECT_FALSE(opened->tokenizerConfig);
    EXPECT_EQ(opened->tokenizerPath, folder.path("tokenizer.json"));
    EXPECT_FALSE(opened->chatTemplate);
    EXPECT_NE(opened->tensors.find("a"), nullptr);
    EXPECT_TRUE(openHfFolder(folder.path() + "/", Weights::WithoutWeights).value().tensors.all().empty());
}

TEST(HfFolder, TemplateFromItsFourPlaces) {
    const ScratchFolder folder;
    folder.write("config.json", "{}");
    const auto found = [&] {
        return openHfFolder(folder.path(), Weights::WithoutWeights).value().chatTemplate.value_or("none");
    };
    EXPECT_EQ(found(), "none");
    folder.write("tokenizer_config.json", R"({"chat_template":null})");
    EXPECT_EQ(found(), "none");
    folder.write("tokenizer_config.json", R"({"chat_template":"text"})");
    EXPECT_EQ(found(), "text");
    folder.write(
        "tokenizer_config.json",
        R"({"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]})");
    EXPECT_EQ(found(), "d");
    folder.write("tokenizer_config.json",
                 R"({"chat_template":[{"name":"one","template":"1"},{"name":"two","template":"2"}]})");
    EXPECT_EQ(found(), "1");
    folder.write("chat_template.json", R"({"chat_template":"json"})");
    EXPECT_EQ(found(), "json");
    folder.write("chat_template.jinja", "jinja\n");
    EXPECT_EQ(found(), "jinja\n");
}

TEST(HfFolder, TemplateOfAnotherShapeIsAnError) {
    const ScratchFolder folder;
    folder.write("config.json", "{}");
    for (const char* value :
         {"7", "{}", "[7]", R"([{"name":"x"}])", R"([{"name":"default","template":1}])"}) {
        folder.write("tokenizer_config.json", std::string(R"({"chat_template":)") + value + "}");
        EXPECT_EQ(codeOf(folder, Weights::WithoutWeights), Code::WrongType) << value;
    }
}

TEST(HfFolder, Shards) {
    const ScratchFolder folder;
    folder.write("config.json", "{}");
    folder.write("model.safetensors.index.json",
                 R"({"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
    folder.write("model-1.safetensors", weights("a"));
    EXPECT_EQ(codeOf(folder), Code::FileNotFound);
    folder.write("model-2.safetensors", weights("c"));
    EXPECT_EQ(codeOf(folder), Code::MissingTensor);
    folder.write("model-2.safetensors", weights("a"));
    EXPECT_EQ(codeOf(folder), Code::DuplicateName);
    folder.write("model-2.safetensors", weights("b", '\2'));
    const auto opened = openHfFolder(folder.path(), Weights::WithWeights);
    ASSERT_TRUE(opened.ok()) << render(opened.error());
    EXPECT_EQ(opened->tensors.find("b")->bytes[0], std::byte{2});
    EXPECT_EQ(opened->tensors.find("b")->file, folder.path("model-2.safetensors"));
}

TEST(HfFolder, AnIndexNamesFilesOfItsFolderOnly) {
    const ScratchFolder folder;
    folder.write("config.json", "{}");
    for (const char* name :
         {"../model-1.safetensors", "/etc/model-1.safetensors", "sub/model-1.safetensors",
          ".hidden.safetensors", "", "model.bin", ".safetensors", "a\\u0000.safetensors"}) {
        folder.write("model.safetensors.index.json", std::string(R"({"weight_map":{"a":")") + name + "\"}}");
        EXPECT_EQ(codeOf(folder), Code::ValueOutOfRange) << name;
    }
    folder.write("model.safetensors.index.json", R"({"weight_map":{"a":7}})");
    EXPECT_EQ(codeOf(folder), Code::WrongType);
    folder.write("model.safetensors.index.json", R"({"weight_map":[]})");
    EXPECT_EQ(codeOf(folder), Code::WrongType);
    folder.write("model.safetensors.index.json", "{}");
    EXPECT_EQ(codeOf(folder), Code::MissingKey);
}

TEST(HfFolder, WhatIsNoModelFolder) {
    const ScratchFolder folder;
    EXPECT_EQ(codeOf(folder), Code::NotAModelFolder);
    folder.write("adapter_config.json", "{}");
    EXPECT_EQ(codeOf(folder), Code::IsAnAdapter);
    EXPECT_EQ(openHfFolder(folder.path("none"), Weights::WithWeights).error().code, Code::FileNotFound);
    EXPECT_EQ(openHfFolder(folder.write("file", "x"), Weights::WithWeights).error().code,
              Code::NotAModelFile);
    EXPECT_EQ(openHfFolder("/dev/zero", Weights::WithWeights).error().code, Code::FileNotRegular);
    folder.write("config.json", "[]");
    EXPECT_EQ(codeOf(folder), Code::WrongType);
    folder.write("config.json", "{");
    EXPECT_EQ(codeOf(folder), Code::InvalidJson);
    folder.write("config.json", "");
    EXPECT_NE(codeOf(folder), Code::Internal);
    folder.write("config.json", R"({"a":1,"a":2})");
    EXPECT_EQ(codeOf(folder), Code::DuplicateName);
    folder.write("config.json", "{}");
    EXPECT_EQ(codeOf(folder), Code::FileNotFound);  // model.safetensors
    folder.write("model.safetensors", "");
    EXPECT_EQ(codeOf(folder), Code::FileEmpty);
}

TEST(HfFolder, FilesThatAreNotRegularAreRefused) {
    const ScratchFolder folder;
    ASSERT_EQ(::mkfifo(folder.path("config.json").c_str(), 0600), 0);
    EXPECT_EQ(codeOf(folder), Code::FileNotRegular);
}

TEST(HfFolder, PickleIsNeverOpened) {
    const ScratchFolder folder;
    folder.write("config.json", "{}");
    // A FIFO would block whoever opened it.
    ASSERT_EQ(::mkfifo(folder.path("pytorch_model.bin").c_str(), 0600), 0);
    const auto opened = openHfFolder(folder.path(), Weights::WithWeights);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, Code::UnsupportedFormat);
    EXPECT_NE(render(opened.error()).find("convert it to safetensors"), std::string::npos);
}

TEST(HfFolder, PackedWeightsAreNamedWithTheConversion) {
    const ScratchFolder folder;
    folder.write("model.safetensors", weights("a"));
    for (const char* method :
         {"awq", "gptq", "bitsandbytes", "compressed-tensors", "mxfp4", "something-new"}) {
        folder.write("config.json",
                     std::string(R"({"quantization_config":{"quant_method":")") + method + "\"}}");
        const auto opened = openHfFolder(folder.path(), Weights::WithWeights);
        ASSERT_FALSE(opened.ok());
        EXPECT_EQ(opened.error().code, Code::UnsupportedFormat);
        EXPECT_NE(render(opened.error()).find(method), std::string::npos);
        EXPECT_TRUE(openHfFolder(folder.path(), Weights::WithoutWeights).ok());
    }
    folder.write(
        "config.json",
        R"({"quantization_config":{"quant_method":"fp8","fmt":"e4m3","weight_block_size":[128,128]}})");
    EXPECT_EQ(codeOf(folder), Code::Internal);
    folder.write("config.json", R"({"quantization_config":{"quant_method":"fp8","fmt":"e5m2"}})");
    EXPECT_EQ(codeOf(folder), Code::UnsupportedFormat);
    folder.write("config.json", R"({"quantization_config":{}})");
    EXPECT_EQ(codeOf(folder), Code::MissingKey);
    folder.write("config.json", R"({"quantization_config":null})");
    EXPECT_EQ(codeOf(folder), Code::Internal);
}

}  // namespace
}  // namespace conclave::engine::formats
