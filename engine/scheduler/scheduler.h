#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/library/adapter.h"
#include "engine/library/library.h"
#include "engine/sampling/logprobs.h"
#include "engine/sampling/options.h"
#include "engine/scheduler/expert_log.h"
#include "engine/scheduler/metrics.h"

namespace conclave::engine::scheduler {

enum class FinishReason : uint8_t { Stop, Length, Cancelled, Failed };
static_assert(static_cast<size_t>(FinishReason::Failed) + 1 == kFinishReasons);

struct Usage {
    uint32_t promptTokens = 0, completionTokens = 0, cachedTokens = 0;
};

/// What is told of a token beside its text, where the request asks for log probabilities.
struct TokenDetail {
    sampling::Logprobs logprobs;
    uint32_t textOffset = 0;  ///< characters of the answer before the token's own text
};

/// What a sequence tells whoever submitted it, in order: any number of Text, then exactly one Finished.
struct SequenceEvent {
    enum class Kind : uint8_t { Text, Finished } kind = Kind::Text;
    base::SequenceId sequence{};
    std::string text;  ///< whole UTF-8 characters, without stop strings and control tokens
    /// The ids this text came from (none where it is the rest of a token that was told before). Finished:
    /// those that gave no text, such as the end token, which counts as generated. Every generated token is
    /// told once.
    std::vector<base::TokenId> tokens;
    std::vector<TokenDetail> details;  ///< of each of `tokens`; none where sampling.logprobs does not ask
    FinishReason reason = FinishReason::Stop;  ///< Finished
    std::optional<std::string> stopString;     ///< Finished by this one
    Usage usage;                               ///< Finished
    std::optional<base::Error> error;          ///< Finished with Failed
};

struct GenerationRequest {
    base::OwnerId owner{};
    base::Priority priority = base::Priority::Chat;
    std::shared_ptr<const library::LoadedModel> model;
    std::vector<library::AdapterUse> adapters;  ///< made for `model`; add in this order
    model::RouterOptions router{};              ///< how it steers the model's routers; default: as trained
    std::vector<base::TokenId> prompt;          ///< at least one
    sampling::SamplerOptions sampling;
    uint32_t choice = 0;  ///< which of several answers to one prompt and seed this is
    std::optional<uint32_t>
        maxTokens;  ///< none: up to the context; 0: the prompt is computed, nothing generated
    /// The end tokens cannot be chosen before so many tokens, and their text is not searched for stop
    /// strings.
    uint32_t minTokens = 0;
    bool ignoreEnd = false;  ///< an end token is a token like any other; minTokens then masks none
    std::vector<std::string> stop;
    std::string
        conversation{};  ///< a word of the caller's to find its experts by (ExpertQuery); may be empty
    /// Starts only when that sequence has computed its prompt or is over: where both have the same prompt and
    /// owner its pages are shared instead of computed again.
    std::optional<base::SequenceId> after{};
    /// Called on the scheduler's thread: must be quick and must not call the scheduler. After Finished it is
    /// released.
    std::function<void(const SequenceEvent&)> onEvent;
};

struct SequenceInfo {
    base::SequenceId id{};
    base::OwnerId owner{};
    base::Priority priority{};
    std::string model;
    enum class State : uint8_t { Waiting, Prefill, Decode } state = State::Waiting;
    uint32_t promptTokens = 0, doneTokens = 0, generatedTokens = 0;
};

struct SchedulerOptions {
    size_t threads = 0;          ///< 0 = platform::defaultThreads()
    uint64_t kvBytes = 0;        ///< budget of pages; 0 = chosen as models come, see KvBudget
    uint32_t context = 0;        ///< cap on the model's context; 0 = the model's own
    uint32_t maxSequences = 64;  ///< running at once; more wait
    uint32_t chunk = 256;        ///< most prompt tokens of one sequence in a step
    bool prefixCache = true;     ///< requests of one owner go on from pages that earlier ones computed
    uint64_t expertLogBytes = uint64_t{16} << 20;  ///< of each model: what its routers chose lately
    /// For requests without a seed, on the submitter's thread; empty = the system's random numbers.
    std::function<uint64_t()> drawSeed{};
    /// Bytes of memory that are free; empty = platform::availableMemory.
    std::function<uint64_t()> freeMemory{};
};

/// Counters since the start, and what is stored now.
struct SchedulerStats {
    uint64_t steps = 0, rows = 0, generatedTokens = 0;
    uint64_t stoppedSteps = 0;                ///< of steps: cancelled, or gave way to a higher priority
    uint64_t preemptions = 0;                 ///< sequences that lost their pages for a while
    uint64_t cachedPages = 0, evictions = 0;  ///< of the prefix cache
    uint64_t lookups = 0, hits = 0;           ///< sequences that looked for a stored prefix, and found one
    uint64_t kvBytesInUse = 0, kvBytes = 0;   ///< pages with a holder; the budget
};

/// Sequences of one priority, of all owners.
struct SequenceCounts {
    uint64_t waiting = 0, running = 0;
};
constexpr size_t kPriorities = 3;

/// The one loop that owns every sequence. All public functions are thread-safe and return at once: they send
/// the loop an event. Destroying it cancels what runs.
class Scheduler {
  public:
    /// Errors: TooManyThreads; OutOfMemory where the budget is more than is available now.
    static base::Result<std::unique_ptr<Scheduler>> start(const SchedulerOptions& options);
    ~Scheduler();

    /// Errors at once: ContextExceeded (both numbers), TokenOutOfRange for an id of the prompt or of the
    /// bias, BadArgument for an empty prompt, what model::canonicalRouter says, KvBudget when the budget
    /// holds no page of this model. Everything later arrives as an event.
    base::Result<base::SequenceId> submit(GenerationRequest request);
    /// Ends a sequence within one step; its Finished event says Cancelled. Unknown or finished ids are
    /// ignored.
    void cancel(base::SequenceId sequence);
    /// The sequences of one owner.
    std::vector<SequenceInfo> sequences(base::OwnerId owner) const;
    /// The context a request to this model may use, as KvBudget says.
    uint32_t contextOf(const library::LoadedModel& model) const;
    /// The budget of KV pages.
    uint64_t kvBytes() const;
    SchedulerStats stats() const;
    std::array<SequenceCounts, kPriorities> counts() const;  ///< by Priority
    const Metrics& metrics() const;
    /// What the model's routers chose lately, of sequences that run up to a second ago.
    ExpertWindow experts(const library::LoadedModel& model, const ExpertQuery& query) const;
    size_t threads() const;

  private:
    struct State;
    explicit Scheduler(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace conclave::engine::scheduler
