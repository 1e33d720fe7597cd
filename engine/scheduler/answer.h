#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/sampling/choose.h"
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
    std::optional<FinishReason> accept(sampling::Choice chosen);

    /// The Finished event (after what text is left), for the caller to send once nothing of the sequence is
    /// left.
    SequenceEvent finish(FinishReason reason, uint32_t cachedTokens, std::optional<base::Error> error);

    uint32_t limit() const { return limit_; }
    uint32_t generated() const { return generated_; }

  private:
    /// A token that no event has told yet, and where its text begins: after so many bytes and characters.
    struct Untold {
        sampling::Choice chosen;
        size_t bytes = 0;
        uint32_t characters = 0;
    };

    void tell(std::string text);
    bool push(std::string text);
    void addUntold(SequenceEvent& event, size_t count);

    base::SequenceId id_;
    const GenerationRequest& request_;
    uint32_t limit_, generated_ = 0;
    bool stripSpace_;
    text::Detokenizer detokenizer_;
    text::StopStrings stops_;
    std::string held_;  ///< given to stops_ and not yet told
    std::optional<std::string> stopString_;
    std::vector<Untold> untold_;
    size_t bytes_ = 0, toldBytes_ = 0;  ///< of whole characters so far, with a stop string, and of those told
    uint32_t characters_ = 0;           ///< of `bytes_`
};

}  // namespace conclave::engine::scheduler
