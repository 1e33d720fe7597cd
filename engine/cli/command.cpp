#include "engine/cli/command.h"

#include <cstdio>

namespace conclave::engine::cli {
namespace {

constexpr Command kCommands[] = {
    {"run", "Answer one prompt and leave",
     "conclave run starter \"Write a note: Tell Ann that the parcel is late.\"", declareRun},
    {"chat", "Talk with a model in the terminal", "conclave chat starter", declareChat},
    {"serve", "Run the engine in the foreground", "conclave serve --threads 2", declareServe},
    {"ps", "Show the running engine, its models and what it is doing", "conclave ps", declarePs},
    {"stop", "Stop the running engine, or unload models of it", "conclave stop starter", declareStop},
    {"models", "List the models that can be named", "conclave models --json", declareModels},
    {"show", "Describe a model", "conclave show starter", declareShow},
    {"adapters", "List and load adapters, describe, convert and merge their files",
     "conclave adapters load starter ./my-adapter", declareAdapters},
    {"check", "Compare the engine with a model's golden files",
     "conclave check tests/fixtures/models/llama-tiny", declareCheck},
    {"bench", "Measure a model's speed beside this machine's limits",
     "conclave bench starter --rows decode_0", declareBench},
    {"experts", "Show which experts of a model a text or a code base uses",
     "conclave experts starter --text README.md --svg experts.svg", declareExperts},
    {"router", "Measure what steering a model's choice of experts costs",
     "conclave router starter --text README.md --sweep active=1,2,4 --sweep floor=0.2", declareRouter},
    {"tokenize", "Turn a text into token ids", "echo -n 'Hello' | conclave tokenize starter",
     declareTokenize},
    {"template", "Render a chat template", "conclave template starter --input case.json", declareTemplate},
    {"import", "Convert a Hugging Face folder to GGUF",
     "conclave import ./model model-q8_0.gguf --quant q8_0", declareImport},
    {"synth", "Write a GGUF file of random weights in the shape of a known model",
     "conclave synth olmoe-1b-7b --quant q4_k_m --layers 2 olmoe-2.gguf", declareSynth},
    {"doctor", "Look at this machine: processor, memory, socket, models", "conclave doctor", declareDoctor},
};

}  // namespace

std::span<const Command> commands() {
    return kCommands;
}

int fail(const base::Error& error) {
    std::fprintf(stderr, "conclave: %s\n", base::render(error).c_str());
    switch (error.code) {
    case base::Code::EngineLost:
    case base::Code::EngineProtocol:
    case base::Code::InvalidNumbers:
    case base::Code::Cancelled:
    case base::Code::Internal:
        return 1;
    default:
        return 2;
    }
}

}  // namespace conclave::engine::cli
