#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler/scheduler.h"
#include "engine/text/detokenizer.h"
#include "engine/text/stop_strings.h"

namespace conclave::engine::scheduler {

/// The text side of one sequence: from chosen tokens to the events its submitter sees. For the scheduler's
/// thread only.
class Answer {
  public:
    /// `limit`: most tokens that may be generated. The request must outlive the answer.
    Answer(base::SequenceId id, const GenerationRequest& request, uint32_t limit);

    /// Takes a chosen token and tells its text; says why the answer is over where it is: end token and stop
    /// string before the limit.
    std::optional<FinishReason> accept(base::TokenId token);

    /// The Finished event (after what text is left), for the caller to send once nothing of the sequence is
    /// left.
    SequenceEvent finish(FinishReason reason, uint32_t cachedTokens, std::optional<base::Error> error);

    uint32_t limit() const { return limit_; }
    uint32_t generated() const { return generated_; }

  private:
    void tell(std::string text);
    bool push(std::string text);

    base::SequenceId id_;
    const GenerationRequest& request_;
    uint32_t limit_, generated_ = 0;
    bool stripSpace_;
    text::Detokenizer detokenizer_;
    text::StopStrings stops_;
    std::string held_;  ///< given to stops_ and not yet told
    std::optional<std::string> stopString_;
    std::vector<base::TokenId> untold_;  ///< tokens whose text has not been told
};

}  // namespace conclave::engine::scheduler
