//! How is a run driven, once it has begun, until it is over or waits for somebody?

use quorate_core::{Code, Error, Result};

use crate::answer::Answer;
use crate::conversation::Conversation;
use crate::driver::Drive;
use crate::fact::Status;
use crate::family::Nested;
use crate::runtime::Runtime;
use crate::view::finished;

/// What comes of a question before anything is asked.
pub(crate) enum Asked {
    /// A run has begun.
    Begun(Box<Drive>, Option<Box<Nested>>, Option<Conversation>),
    /// There was one by that key.
    Known(Box<Answer>),
}

impl Asked {
    pub(crate) fn known(answer: Answer) -> Self {
        Asked::Known(Box::new(answer))
    }
}

impl Runtime {
    /// Drives a run as far as it goes; what it has said is kept in its conversation before anybody is told of its end.
    pub(crate) fn drive(
        &self,
        mut drive: Box<Drive>,
        nested: Option<Nested>,
        talk: Option<&Conversation>,
    ) -> Result<Answer> {
        let id = drive.machine.run_id.clone();
        drive.nested = nested;
        if let Some(mut live) = self.0.live.take() {
            live.insert(id.clone(), drive.cancel.clone());
        }
        let outcome = drive.go();
        self.settled(id, drive, outcome, talk)
    }

    /// What a run has come to. Apart from its drive, as [`Self::begin`] is.
    #[inline(never)]
    fn settled(
        &self,
        id: String,
        mut drive: Box<Drive>,
        outcome: Result<()>,
        talk: Option<&Conversation>,
    ) -> Result<Answer> {
        if let Some(mut live) = self.0.live.take() {
            live.remove(&id);
        }
        if drive.machine.status() == Status::Waiting
            && let (Some(check), Some(mut checks)) = (drive.check_output.take(), self.0.checks.take())
        {
            checks.insert(id, check);
        }
        let (machine, last) = drive.let_go();
        let answer = outcome.and_then(|()| finished(&machine));
        if let (Ok(answer), Some(talk)) = (&answer, talk) {
            talk.keep(&machine.spec.question, answer)?;
        }
        if let Some((listener, event)) = last {
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| listener(event)));
            told.map_err(|_| Error::new(Code::Internal, "who listened to the run has panicked"))?;
        }
        answer
    }
}
