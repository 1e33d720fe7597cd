#include "engine/offline/synth.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "engine/formats/adapter_file.h"
#include "engine/offline/describe.h"
#include "engine/platform/file.h"
#include "engine/synth/synth.h"
#include "tests/engine/formats/scratch_folder.h"

namespace conclave::engine::offline {
namespace {

SynthOptions tiny(const std::string& destination) {
    return {{.shape = "qwen2.5-coder-1.5b", .quant = "q2_k", .layers = 1}, destination};
}

std::string sentence(const SynthOptions& options) {
    const auto report = writeSynth(options, {});
    return report.ok() ? "" : base::render(report.error());
}

TEST(WriteSynth, MakesTheFileThatIsReadFromMemory) {
    const formats::ScratchFolder folder;
    const std::string path = folder.path("m.gguf");
    const auto report = writeSynth(tiny(path), {});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_EQ(report->model, "synth:qwen2.5-coder-1.5b:q2_k:1");
    const auto mapped = platform::MappedFile::open(path);
    ASSERT_TRUE(mapped.ok());
    const auto onDisk = formats::GgufFile::open(path);
    const auto inMemory = synth::openGguf(report->model);
    ASSERT_TRUE(onDisk.ok() && inMemory.ok());
    EXPECT_EQ(onDisk->metadata(), inMemory->metadata());
    ASSERT_EQ(onDisk->tensors().all().size(), inMemory->tensors().all().size());
    for (size_t i = 0; i < onDisk->tensors().all().size(); ++i) {
        const formats::TensorInfo &a = onDisk->tensors().all()[i], &b = inMemory->tensors().all()[i];
        EXPECT_EQ(a.name, b.name);
        EXPECT_EQ(a.shape, b.shape);
        EXPECT_EQ(a.format, b.format);
        inMemory->tensors().need(b.bytes);
        EXPECT_TRUE(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end())) << a.name;
        inMemory->tensors().giveBack(b.bytes);
    }
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteSynth, RefusesWithoutTouchingWhatIsThere) {
    const formats::ScratchFolder folder;
    const std::string letter = folder.write("letter.txt", "Dear Ann");
    EXPECT_EQ(sentence(tiny(letter)),
              letter + ": is there already and is not a GGUF file; remove it or choose another name");
    EXPECT_EQ(sentence(tiny(folder.path())),
              folder.path() + ": is a folder; give the name of the GGUF file to write");
    SynthOptions huge = tiny(folder.path("m.gguf"));
    huge.wish = {.shape = "deepseek-v3", .quant = "f32"};
    const std::string said = sentence(huge);
    EXPECT_NE(said.find("m.gguf: cannot be written (it needs 2499."), std::string::npos) << said;
    EXPECT_NE(said.find("check free space"), std::string::npos) << said;
    huge.wish = {.shape = "nobody"};
    EXPECT_NE(sentence(huge).find("shape: nobody is out of range"), std::string::npos);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteSynth, ReplacesAGgufFile) {
    const formats::ScratchFolder folder;
    const std::string path = folder.write("m.gguf", "GGUF and then nothing");
    EXPECT_EQ(sentence(tiny(path)), "");
    EXPECT_TRUE(formats::GgufFile::open(path).ok());
}

TEST(WriteSynth, MakesAnAdapter) {
    const formats::ScratchFolder folder;
    SynthOptions options{{.shape = "olmoe-1b-7b", .layers = 1}, folder.path("a.gguf"), "4:experts,attention"};
    const auto report = writeSynth(options, {});
    ASSERT_TRUE(report.ok()) << base::render(report.error());
    EXPECT_EQ(report->model, "4:attention,experts for olmoe-1b-7b of 1 layer");
    EXPECT_EQ(report->tensors, 14u);
    const auto file = formats::openAdapter(options.destination);
    ASSERT_TRUE(file.ok()) << base::render(file.error());
    EXPECT_EQ(file->architecture, "olmoe");
    EXPECT_EQ(file->alpha, 4);
    EXPECT_EQ(file->tensors.all().front().format, quant::Format::F16);
    options.wish.quant = "q8_0";
    EXPECT_EQ(sentence(options),
              "quant: q8_0 is out of range; it must be f32, f16 or bf16: an adapter's factors are floats");
    options.wish.quant = "bf16";
    options.adapter = "4";
    EXPECT_NE(sentence(options).find("write RANK:TARGETS"), std::string::npos);
}

TEST(Describe, TellsWhatRandomWeightsAre) {
    const auto d = describe("synth:olmoe-1b-7b");
    ASSERT_TRUE(d.ok()) << base::render(d.error());
    EXPECT_EQ(d->container, "random weights");
    EXPECT_NEAR(static_cast<double>(d->parameters), 6.92e9, 0.02e9);
    EXPECT_NEAR(static_cast<double>(d->activeParameters), 1.28e9, 0.03e9);
    EXPECT_TRUE(d->chatTemplate);
}

}  // namespace
}  // namespace conclave::engine::offline
