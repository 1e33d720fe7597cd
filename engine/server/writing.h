#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/library/library.h"
#include "engine/protocol/answer.h"
#include "engine/scheduler/scheduler.h"
#include "engine/server/exchange.h"

namespace conclave::engine::server {

/// One answer that is being written from the events of its choices, whole or as a stream. After it was made
/// it is touched on the connection's strand alone.
class Writing {
  public:
    struct Form {
        protocol::AnswerHead head;
        bool stream = false;
        uint32_t choices = 1;
        std::string lead;  ///< text before every choice: the prompt, where it is echoed
        std::shared_ptr<const library::LoadedModel> model;
    };
    /// `scheduler` must outlive the answer.
    Writing(Form form, scheduler::Scheduler& scheduler);

    /// Begins a stream, once; nothing for a whole answer.
    void begin(Exchange& exchange);
    /// All sequences of the answer. Where one of them has failed already, the others are cancelled now.
    void setSequences(std::vector<base::SequenceId> sequences, Exchange& exchange);
    void take(uint32_t choice, const scheduler::SequenceEvent& event, Exchange& exchange);

  private:
    void takeText(uint32_t choice, const scheduler::SequenceEvent& event, Exchange& exchange);
    void takeEnd(uint32_t choice, const scheduler::SequenceEvent& event, Exchange& exchange);
    void fail(const base::Error& error, Exchange& exchange);
    void finish(Exchange& exchange);
    std::vector<protocol::TokenScore> scoresOf(const scheduler::SequenceEvent& event) const;

    const Form form_;
    scheduler::Scheduler& scheduler_;
    const uint32_t leadCharacters_;
    std::vector<base::SequenceId> sequences_;
    std::vector<protocol::WholeChoice> whole_;  ///< of an answer without stream
    protocol::Usage usage_;
    uint32_t ended_ = 0;
    bool begun_ = false;
};

}  // namespace conclave::engine::server
