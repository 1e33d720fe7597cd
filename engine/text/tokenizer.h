#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/formats/tokenizer_spec.h"
#include "engine/text/text_span.h"

namespace conclave::engine::text {

/// Whether the vocabulary's own rule for a beginning-of-text token is followed. With IfWanted it is added
/// where the vocabulary asks for it and the text does not already begin with it.
enum class AddBos { No, IfWanted };

/// Text to token ids and back. Immutable and safe to share between threads. Linear in the length of the text
/// and with a bounded stack, whatever the text is.
class Tokenizer {
  public:
    /// Errors: UnknownPreTokenizer, UnsupportedTokenizer, BadTokenizer.
    static base::Result<Tokenizer> make(formats::TokenizerSpec spec);
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    /// The spans are tokenised as one text, except that control tokens are matched in trusted spans only;
    /// user-defined added tokens are matched everywhere. The border between spans never cuts a merge. Text
    /// that is not valid UTF-8 is InvalidUtf8.
    base::Result<std::vector<base::TokenId>> encode(std::span<const TextSpan> spans, AddBos addBos) const;
    base::Result<std::vector<base::TokenId>> encode(std::string_view text, bool parseControl,
                                                    AddBos addBos) const;

    /// The bytes a token stands for: may be part of a character. Control tokens give their own text. The id
    /// must be inside the vocabulary.
    std::string_view bytes(base::TokenId id) const;
    /// Whole text of ids; invalid UTF-8 becomes U+FFFD. Control tokens are left out unless asked for. Undoes
    /// what the vocabulary adds (Llama's leading space).
    base::Result<std::string> decode(std::span<const base::TokenId> ids, bool showControl) const;

    size_t size() const;
    bool isControl(base::TokenId id) const;
    bool addsBos() const;
    /// Whether the first token of an answer should lose one leading space (SentencePiece at the start of a
    /// text).
    bool stripsLeadingSpace() const;
    const formats::TokenizerSpec& spec() const;  ///< what it was made from (without merges)

  private:
    struct State;
    explicit Tokenizer(std::unique_ptr<const State> state);
    std::unique_ptr<const State> state_;
};

}  // namespace conclave::engine::text
