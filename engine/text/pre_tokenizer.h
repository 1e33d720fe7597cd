#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/formats/tokenizer_spec.h"

namespace conclave::engine::text {

/// Cuts a text into the pieces that merges may not cross, step after step as Hugging Face's tokenizers does.
/// Immutable; safe to share between threads. Linear in the text (see SplitPattern), with a stack that depends
/// on the steps alone.
class PreTokenizer {
  public:
    /// Errors: UnsupportedTokenizer, LimitExceeded.
    static base::Result<PreTokenizer> make(const std::vector<formats::PreTokenizerStep>& steps,
                                           std::string file);
    PreTokenizer(PreTokenizer&&) noexcept;
    PreTokenizer& operator=(PreTokenizer&&) noexcept;
    ~PreTokenizer();

    /// Gets each piece in order, as the bytes of the text (the byte alphabet undone). The view lives for the
    /// call only.
    using Sink = std::function<void(std::string_view)>;
    /// `atStart` says whether `text` begins the whole prompt (Metaspace's "first"). Errors:
    /// UnsupportedTokenizer where a pattern takes too long.
    base::Result<void> split(std::string_view text, bool atStart, const Sink& sink) const;

  private:
    struct State;
    struct Run;
    explicit PreTokenizer(std::unique_ptr<const State> state);
    std::unique_ptr<const State> state_;
};

}  // namespace conclave::engine::text
