#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conclave::engine::base {

/// What went wrong, as a closed list. Append only: app, bridge and scripts translate by code, so a code keeps
/// its meaning for ever. The English of each stands in one place, the table in error.cpp.
enum class Code : uint16_t {
    // files and the operating system
    FileNotFound,
    FileNotRegular,
    FileUnreadable,
    FileEmpty,
    FileWriteFailed,
    FileTruncated,
    OutOfMemory,
    PathTooLong,
    SystemCallFailed,
    // model files
    NotGguf,
    GgufVersion,
    MalformedFile,
    LimitExceeded,
    DuplicateName,
    WrongType,
    MissingKey,
    ValueOutOfRange,
    MissingTensor,
    UnusedTensor,
    TensorShape,
    TensorFormat,
    TensorOutOfFile,
    TensorOverlap,
    TensorMisaligned,
    UnsupportedFormat,
    UnknownArchitecture,
    NotAModelFolder,
    NotAModelFile,
    InvalidJson,
    InvalidUtf8,
    // text
    UnknownPreTokenizer,
    UnsupportedTokenizer,
    BadTokenizer,
    VocabularyMismatch,
    TokenOutOfRange,
    NoChatTemplate,
    TemplateSyntax,
    TemplateFailed,
    TemplateBudget,
    TemplateRaised,
    // requests
    BadArgument,
    OutOfRange,
    UnknownField,
    UnknownModel,
    NoModelChosen,
    ModelNameTaken,
    ModelChanged,
    ContextExceeded,
    InvalidNumbers,
    Cancelled,
    NotAllowed,
    MethodNotAllowed,
    UnknownRoute,
    BodyTooLarge,
    BadHttp,
    ServerBusy,
    ShuttingDown,
    // engine process
    KvBudget,
    UnknownKernels,
    KernelsUnsupported,
    TooManyThreads,
    SocketTaken,
    SocketUnsafe,
    EngineNotRunning,
    EngineLost,
    EngineProtocol,
    BadConfig,
    // check
    GoldenMissing,
    GoldenMismatch,
    FileChanged,
    UnsupportedOption,
    // adapters
    NotAnAdapter,
    IsAnAdapter,
    AdapterMismatch,
    UnknownAdapter,
    Internal,
};

/// One failure: which code, in which file, at which field or tensor, and the values the sentence needs.
struct Error {
    Code code = Code::Internal;
    std::string file;
    std::string field;
    std::vector<std::string> args;
};

/// One English sentence: what, where, what to do.
std::string render(const Error& error);

/// The stable identifier of a code on the wire, such as "file_not_found".
std::string_view codeName(Code code);

}  // namespace conclave::engine::base
