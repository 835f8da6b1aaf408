//! What do the commands of workflows and runs take?

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Answering;

#[derive(Debug, Args)]
pub(crate) struct Workflows {
    /// A folder or file with workflows beside those that ship; give it several times
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) load: Vec<PathBuf>,
    #[command(subcommand)]
    pub(crate) action: WorkflowsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowsAction {
    /// All workflows
    List,
    /// One workflow, with everything that it refers to
    Show {
        /// Its id
        id: String,
        /// As a diagram
        #[arg(long)]
        mermaid: bool,
    },
    /// Say everything that is wrong with files of workflows
    Validate {
        /// Folders and files
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Start a run, and go on with it until it is over or waits for somebody
    #[command(after_help = "Example:\n  quorate workflows start regulatory.fda_510k_submission --offline")]
    Start {
        /// The workflow
        id: String,
        /// The input: JSON, @FILE, or - for a pipe
        #[arg(long, value_name = "JSON")]
        input: Option<String>,
        /// Stand-ins take the place of the world, and example input that of what is not given
        #[arg(long)]
        offline: bool,
        /// The id of the run
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// The version [default: the newest]
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// Of those who start with the same word, one does
        #[arg(long, value_name = "WORD")]
        dedup: Option<String>,
        /// Who starts it
        #[arg(long, value_name = "USER")]
        by: Option<String>,
        #[command(flatten)]
        going: Going,
    },
    /// How far a run is
    Status {
        /// The run
        run: String,
        /// As a diagram
        #[arg(long)]
        mermaid: bool,
    },
    /// Reviews that wait for a decision
    Reviews {
        /// Of this role
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        /// Of this run
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
    },
    /// Decide a review, and go on with its run
    Decide {
        /// The review
        review: String,
        /// What is decided, one of its options
        option: String,
        /// Who decides
        #[arg(long, value_name = "USER")]
        by: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        /// What goes with it, as JSON
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        #[command(flatten)]
        going: Going,
    },
    /// Tell a run that something has happened, and go on with it
    Signal {
        /// The run
        run: String,
        /// The name of the signal
        name: String,
        /// What goes with it, as JSON
        #[arg(long, value_name = "JSON")]
        data: Option<String>,
        /// The same signal counts once
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        #[command(flatten)]
        going: Going,
    },
    /// Stop a run for a while
    Pause {
        /// The run
        run: String,
    },
    /// Go on with a run that is paused, or whose process has ended
    Resume {
        /// The run
        run: String,
        #[command(flatten)]
        going: Going,
    },
    /// Do a step that failed again, and go on
    Retry {
        /// The run
        run: String,
        /// The step [default: the one that failed]
        #[arg(long, value_name = "STEP")]
        step: Option<String>,
        #[command(flatten)]
        going: Going,
    },
    /// Leave a step out, and go on
    Skip {
        /// The run
        run: String,
        /// The step
        step: String,
        #[command(flatten)]
        going: Going,
    },
    /// End a run
    Cancel {
        /// The run
        run: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "cancelled on the command line")]
        reason: String,
        /// Undo what was done
        #[arg(long)]
        compensate: bool,
        #[command(flatten)]
        going: Going,
    },
    /// Go on with all runs that are due, until interrupted
    Work {
        /// How many at once
        #[arg(long, value_name = "N", default_value_t = 8)]
        concurrency: usize,
        /// Only of these queues; give it several times
        #[arg(long, value_name = "NAME")]
        queue: Vec<String>,
        /// End when nothing is due
        #[arg(long)]
        until_idle: bool,
        #[command(flatten)]
        answering: Answering,
    },
}

/// How a run goes on after a command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Going {
    /// Leave it to whoever works on the queue (`quorate workflows work`)
    #[arg(long)]
    pub(crate) detach: bool,
    /// With --json: a line for each thing that happens
    #[arg(long, requires = "json")]
    pub(crate) stream: bool,
    #[command(flatten)]
    pub(crate) answering: Answering,
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    pub(crate) action: RunsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsAction {
    /// All runs, the newest last
    List {
        /// Only those that stand so: running, waiting, interrupted, done, failed, ...
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only of this kind: ask, panel, workflow, ...
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
    },
    /// What a run came to
    Show {
        /// The run
        run: String,
        /// Everything that happened in it
        #[arg(long)]
        journal: bool,
    },
    /// Have a run stopped, whoever works on it
    Cancel {
        /// The run
        run: String,
    },
    /// Go on with the run of an expert or a panel
    Resume {
        /// The run
        run: String,
        /// Allow a call that waits; give it several times
        #[arg(long, value_name = "CALL")]
        approve: Vec<String>,
        /// Deny a call that waits; give it several times
        #[arg(long, value_name = "CALL")]
        deny: Vec<String>,
        #[command(flatten)]
        answering: Answering,
    },
    /// Remove a run and everything that was said in it
    Delete {
        /// The run
        run: String,
    },
}
