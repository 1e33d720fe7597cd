#include "engine/base/error.h"

#include <array>

namespace conclave::engine::base {
namespace {

struct Row {
    Code code;
    std::string_view name;
    /// {file} and {field} are the error's, {0} {1} … its args. "{file: }" is the file and ": ", or nothing
    /// without one.
    std::string_view text;
};

// In the order of the enum; the static_assert below holds the two together.
constexpr Row kRows[] = {
    {Code::FileNotFound, "file_not_found", "{file}: there is no such file or folder; check the path"},
    {Code::FileNotRegular, "file_not_regular",
     "{file}: is {0}, not a regular file; give the path of a model file or folder"},
    {Code::FileUnreadable, "file_unreadable", "{file}: cannot be read ({0}); check its permissions"},
    {Code::FileEmpty, "file_empty", "{file}: is empty; download or copy it again"},
    {Code::FileWriteFailed, "file_write_failed",
     "{file}: cannot be written ({0}); check free space and permissions"},
    {Code::FileTruncated, "file_truncated",
     "{file}: ends inside {field} ({0}); the file is damaged, download or copy it again"},
    {Code::OutOfMemory, "out_of_memory",
     "{file: }not enough memory for {field} ({0}); free memory or choose a smaller model"},
    {Code::PathTooLong, "path_too_long",
     "{file}: is too long for a socket ({0}); choose a shorter path with --socket"},
    {Code::SystemCallFailed, "system_call_failed", "{file: }{field} failed: {0}"},
    {Code::NotGguf, "not_gguf",
     "{file}: is not a GGUF file (it does not begin with GGUF); give a GGUF or safetensors model"},
    {Code::GgufVersion, "gguf_version",
     "{file}: GGUF version {0} is not known; versions 2 and 3 are, convert the file again"},
    {Code::MalformedFile, "malformed_file",
     "{file}: {field}: {0}; the file is damaged or hostile, fetch it again from its source"},
    {Code::LimitExceeded, "limit_exceeded",
     "{file: }{field}: {0} is more than the limit of {1}; the file is damaged or hostile"},
    {Code::DuplicateName, "duplicate_name", "{file: }{field}: appears twice; the file is damaged or hostile"},
    {Code::WrongType, "wrong_type", "{file: }{field}: is {0} where {1} is needed; convert the file again"},
    {Code::MissingKey, "missing_key", "{file: }{field}: is missing; convert or download the model again"},
    {Code::ValueOutOfRange, "value_out_of_range", "{file: }{field}: {0} is out of range ({1})"},
    {Code::MissingTensor, "missing_tensor",
     "{file: }tensor {field} is missing; download the model again or check the shards"},
    {Code::UnusedTensor, "unused_tensor",
     "{file: }tensor {field} is not part of this architecture; the file may be another model than its "
     "configuration says"},
    {Code::TensorShape, "tensor_shape",
     "{file: }tensor {field} has shape {0} where the configuration needs {1}"},
    {Code::TensorFormat, "tensor_format",
     "{file: }tensor {field} has format {0}, which cannot be used here ({1})"},
    {Code::TensorOutOfFile, "tensor_out_of_file",
     "{file}: tensor {field} reaches past the end of the file ({0}); the download is incomplete, fetch it "
     "again"},
    {Code::TensorOverlap, "tensor_overlap",
     "{file}: tensor {field} overlaps {0}; the file is damaged or hostile"},
    {Code::TensorMisaligned, "tensor_misaligned",
     "{file}: tensor {field} is misaligned ({0}); the file is damaged or hostile"},
    {Code::UnsupportedFormat, "unsupported_format", "{file: }{field}: format {0} is not supported; {1}"},
    {Code::UnknownArchitecture, "unknown_architecture",
     "{file: }architecture {0} is not known; known are {1}"},
    {Code::NotAModelFolder, "not_a_model_folder",
     "{file}: the folder has no config.json; give a Hugging Face model folder or a GGUF file"},
    {Code::NotAModelFile, "not_a_model_file",
     "{file}: is neither a GGUF file nor a Hugging Face folder; convert the model first"},
    {Code::InvalidJson, "invalid_json", "{file: }{field: }not valid JSON: {0}"},
    {Code::InvalidUtf8, "invalid_utf8",
     "{file: }{field}: is not valid UTF-8 at byte {0}; send text as UTF-8"},
    {Code::UnknownPreTokenizer, "unknown_pre_tokenizer",
     "{file: }pre-tokenizer {0} is not known; known are {1}"},
    {Code::UnsupportedTokenizer, "unsupported_tokenizer",
     "{file: }{field}: {0} is not supported by this tokenizer ({1})"},
    {Code::BadTokenizer, "bad_tokenizer", "{file: }{field}: {0}; download the tokenizer again"},
    {Code::VocabularyMismatch, "vocabulary_mismatch",
     "{file: }the tokenizer has {0} tokens but the model only {1} embedding rows; tokenizer and weights do "
     "not belong together"},
    {Code::TokenOutOfRange, "token_out_of_range", "{field}: token {0} is outside the vocabulary (0 to {1})"},
    {Code::NoChatTemplate, "no_chat_template",
     "model {field} has no chat template, so it cannot chat; send the text to /v1/completions instead"},
    {Code::TemplateSyntax, "template_syntax", "{file: }chat template, line {field}: {0}"},
    {Code::TemplateFailed, "template_failed", "{file: }chat template, line {field}: {0}"},
    {Code::TemplateBudget, "template_budget", "{file: }chat template: {0}; use another template"},
    {Code::TemplateRaised, "template_raised", "{0}"},
    {Code::BadArgument, "bad_argument", "{field}: {0}"},
    {Code::OutOfRange, "out_of_range", "{field}: {0} is out of range; it must be {1}"},
    {Code::UnknownField, "unknown_field", "{field}: is not known here; known are {0}"},
    {Code::UnknownModel, "unknown_model", "model {0} is not known; known are {1}"},
    {Code::NoModelChosen, "no_model_chosen",
     "no model was named; name one of {0} or set models.chat in config.toml"},
    {Code::ModelNameTaken, "model_name_taken",
     "another model or adapter has the name {0}; choose another name or unload it first"},
    {Code::ModelChanged, "model_changed",
     "{file}: has changed since it was loaded as {0}; unload that first (conclave stop {0})"},
    {Code::ContextExceeded, "context_exceeded",
     "the prompt has {0} tokens but the context holds {1}; shorten it"},
    {Code::InvalidNumbers, "invalid_numbers",
     "model produced invalid numbers (NaN or infinity); its weights are damaged"},
    {Code::Cancelled, "cancelled", "cancelled"},
    {Code::NotAllowed, "not_allowed", "{field}: {0}"},
    {Code::MethodNotAllowed, "method_not_allowed", "{field}: method {0} is not allowed here; use {1}"},
    {Code::UnknownRoute, "unknown_route", "{field}: there is no such endpoint"},
    {Code::BodyTooLarge, "body_too_large", "the request is larger than {0}; send less"},
    {Code::BadHttp, "bad_http", "not a valid HTTP request: {0}"},
    {Code::ServerBusy, "server_busy", "{0}; try again later"},
    {Code::ShuttingDown, "shutting_down", "the engine is shutting down; start it again"},
    {Code::KvBudget, "kv_budget", "--kv-memory: {0} do not hold one page of {1}; give at least {2}"},
    {Code::UnknownKernels, "unknown_kernels", "--kernels: {0} is not known; known are {1}"},
    {Code::KernelsUnsupported, "kernels_unsupported", "--kernels: this processor lacks what {0} needs ({1})"},
    {Code::TooManyThreads, "too_many_threads", "--threads: {0} is more than the {1} cores of this machine"},
    {Code::SocketTaken, "socket_taken",
     "{file}: another engine answers on this socket; stop it with conclave stop, or choose another with "
     "--socket"},
    {Code::SocketUnsafe, "socket_unsafe", "{file}: {0}; remove it or choose another with --socket"},
    {Code::EngineNotRunning, "engine_not_running",
     "{file: }no engine is running; start one with conclave serve"},
    {Code::EngineLost, "engine_lost",
     "{file: }the engine went away in mid-answer ({0}); start it again with conclave serve"},
    {Code::EngineProtocol, "engine_protocol", "{file: }the engine sent something unexpected: {0}"},
    {Code::BadConfig, "bad_config", "{file}: {field}: {0}"},
    {Code::GoldenMissing, "golden_missing", "{file}: {field} is missing; give its folder with --golden"},
    {Code::GoldenMismatch, "golden_mismatch",
     "{file}: {field}: {0}; these golden files belong to another model"},
    {Code::FileChanged, "file_changed", "{file}: changed on disk while it was being read; load it again"},
    {Code::UnsupportedOption, "unsupported_option", "{file: }{field}: {0} is not supported; {1}"},
    {Code::NotAnAdapter, "not_an_adapter",
     "{file}: is not an adapter ({0}); give a PEFT folder or a GGUF file of the type adapter"},
    {Code::IsAnAdapter, "is_an_adapter",
     "{file}: is a LoRA adapter, not a model; give the model it was made for, and this as its adapter"},
    {Code::AdapterMismatch, "adapter_mismatch",
     "{file}: {field}: {0}; this adapter was made for another model"},
    {Code::UnknownAdapter, "unknown_adapter", "there is no adapter {0}; there are: {1}"},
    {Code::Internal, "internal", "{file: }{field: }internal error: {0}; please report it"},
};

constexpr bool inOrder() {
    for (size_t i = 0; i < std::size(kRows); ++i)
        if (static_cast<size_t>(kRows[i].code) != i) return false;
    return std::size(kRows) == static_cast<size_t>(Code::Internal) + 1;
}
static_assert(inOrder(), "kRows must list every Code once, in the order of the enum");

const Row& rowOf(Code code) {
    return kRows[static_cast<size_t>(code)];
}

}  // namespace

std::string_view codeName(Code code) {
    return rowOf(code).name;
}

std::string render(const Error& error) {
    std::string out;
    std::string_view text = rowOf(error.code).text;
    while (!text.empty()) {
        const size_t open = text.find('{');
        out.append(text.substr(0, open));
        if (open == std::string_view::npos) break;
        const size_t close = text.find('}', open);
        const std::string_view key = text.substr(open + 1, close - open - 1);
        text.remove_prefix(close + 1);
        if (key == "file" || key == "file: ") {
            out.append(error.file);
            if (key != "file" && !error.file.empty()) out.append(": ");
        } else if (key == "field" || key == "field: ") {
            out.append(error.field);
            if (key != "field" && !error.field.empty()) out.append(": ");
        } else {
            const size_t index = static_cast<size_t>(key[0] - '0');
            out.append(index < error.args.size() ? error.args[index] : "?");
        }
    }
    return out;
}

}  // namespace conclave::engine::base
