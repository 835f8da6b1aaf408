//! Which commands are there, and what do they take?

mod flow;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
pub(crate) use flow::{Going, Runs, RunsAction, Workflows, WorkflowsAction};

const EXAMPLES: &str = "Examples:
  quorate add docs/                        make a knowledge base of a folder
  quorate ask \"Is metformin safe in renal failure?\"
  quorate search metformin kidneys --where \"year >= 2020\"
  quorate panel \"Is a 510(k) needed?\" --type delphi --size 5 --html panel.html
  quorate workflows start regulatory.fda_510k_submission --offline
  quorate search aspirin --json | jq -r '.hits[].doc_id'

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 locked or conflict, 5 damaged, 6 invalid input,
7 network or disk, 8 refused or over budget, 130 interrupted.";

/// Search, cited answers, panels of experts and workflows over your own documents, on this machine.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, after_help = EXAMPLES, disable_help_subcommand = true, infer_long_args = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The folder of the knowledge base
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = ".quorate",
        help_heading = "Everywhere"
    )]
    pub(crate) kb: PathBuf,
    /// Write JSON: one document, or a line for each event of a stream
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Whose documents, experts and runs are meant; others do not exist then
    #[arg(long, global = true, value_name = "NAME", help_heading = "Everywhere")]
    pub(crate) tenant: Option<String>,
    /// When results are coloured
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, help_heading = "Everywhere")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a knowledge base
    Init(Init),
    /// Add files, folders, or text from a pipe; what is there already is brought up to date
    Add(Add),
    /// Find passages
    Search(Search),
    /// Put cited passages together for a language model
    Context(Context),
    /// Ask an expert, who answers with citations
    Ask(Ask),
    /// Ask several experts, and see where they agree
    Panel(Panel),
    /// See which experts fit a question
    Match(Match),
    /// See and change the experts
    Agents(Agents),
    /// Measure retrieval, or experts, on a file of questions
    Eval(Eval),
    /// See, check, start and decide workflows
    Workflows(Workflows),
    /// See what experts, panels and workflows have done
    Runs(Runs),
    /// Serve documents and experts over HTTP
    Serve(Serve),
    /// Serve documents and experts to the program that starts this one (Model Context Protocol)
    Mcp(Mcp),
    /// Say what is there, and whether it is as it was written
    Doctor(Doctor),
    /// Write what a shell needs to complete commands
    Completions(Completions),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quorate init\n  quorate init --kb clinic --catalog service --language german"
)]
pub(crate) struct Init {
    /// The model that embeds: builtin, a folder, or a hub id (which is downloaded)
    #[arg(long, value_name = "MODEL")]
    pub(crate) embedder: Option<String>,
    /// The language of stemmer and stop words
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) language: Option<String>,
    /// The experts to begin with: healthcare, service, none, or the path of a catalogue file
    #[arg(long, value_name = "CATALOG")]
    pub(crate) catalog: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate add docs/ guide.pdf 'notes/**/*.md'
  quorate add docs/ --sync                 also delete what is gone from the folder
  pbpaste | quorate add - --id note-1 --title 'A note' --metadata year=2024")]
pub(crate) struct Add {
    /// Files, folders (all files below them), globs, or - for text from a pipe
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The id of the text from the pipe
    #[arg(long, value_name = "ID", default_value = "stdin")]
    pub(crate) id: String,
    /// The title of the text from the pipe
    #[arg(long, value_name = "TITLE")]
    pub(crate) title: Option<String>,
    /// What is known of all that is added; a value that is JSON is read as JSON
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Delete documents whose files are gone
    #[arg(long)]
    pub(crate) sync: bool,
    /// Stop at the first file that cannot be read, and keep nothing of its batch
    #[arg(long)]
    pub(crate) strict: bool,
    /// Follow symbolic links out of folders
    #[arg(long)]
    pub(crate) follow_links: bool,
    /// Ids begin below this folder [default: the folder that holds the knowledge base]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) root: Option<PathBuf>,
}

/// Who is served over HTTP.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate serve                            http://127.0.0.1:8000/mcp, for the programs of this machine
  quorate serve 0.0.0.0:8000 --tokens tokens.json
The file of tokens: [{\"token\": \"...\", \"tenant\": \"acme\", \"tools\": [\"search\", \"get\"]}]")]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) address: String,
    /// A JSON file of who may come in; without it whoever is on this machine may, and nobody else
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) answering: Answering,
}

/// How programs are served.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate mcp                              over standard input and output
  quorate mcp --http 127.0.0.1:8000        the same as `quorate serve`")]
pub(crate) struct Mcp {
    /// Serve over HTTP at this address instead
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<String>,
    /// A JSON file of who may come in over HTTP; without it whoever is on this machine may, and nobody else
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) answering: Answering,
}

/// What is looked for, and where.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The words, or - to read them from a pipe
    #[arg(required = true, value_name = "QUERY")]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate search metformin renal failure
  quorate search 'contrast scan' -k 3 --where \"kind = 'guideline' AND year >= 2020\" --explain
  cat question.txt | quorate search - --json")]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) query: Query,
    /// The most hits
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    pub(crate) k: usize,
    /// How many of the best to leave out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// By words, by meaning, or by both
    #[arg(long, value_enum, value_name = "MODE", default_value_t = By::Hybrid)]
    pub(crate) mode: By,
    /// Only documents that match, such as "year >= 2020"
    #[arg(long = "where", value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Only hits that are about the question with this probability, 0 to 1
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) min_relevance: Option<f32>,
    /// At most one hit of each document
    #[arg(long)]
    pub(crate) by_document: bool,
    /// Say how each score came about
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Words and meaning
    Hybrid,
    /// Meaning alone
    Dense,
    /// Words alone
    Lexical,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate context 'metformin and kidneys' --max-tokens 1000 | llm 'Answer from these passages: ...'
  quorate context 'metformin' --json")]
pub(crate) struct Context {
    #[command(flatten)]
    pub(crate) query: Query,
    /// The most tokens of the whole text
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) max_tokens: usize,
    /// How many hits are considered
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    pub(crate) k: usize,
    /// Only documents that match
    #[arg(long = "where", value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Only hits that are about the question with this probability, 0 to 1
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) min_relevance: Option<f32>,
    /// In which order the passages stand
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Order::Score)]
    pub(crate) order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// The best first
    Score,
    /// As they follow each other in their documents
    Document,
    /// The weakest in the middle
    LostInTheMiddle,
}

/// Which model answers, and what it may spend.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Answering {
    /// Who writes: extractive (sentences of your documents, no language model), openai:NAME, anthropic:NAME, local:PATH; keys are
    /// read from the environment
    #[arg(long, value_name = "MODEL", default_value = "extractive")]
    pub(crate) model: String,
    /// Where the model's service is, such as http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The most US dollars
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    pub(crate) max_cost: Option<f64>,
    /// The most tokens
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_tokens: Option<u64>,
    /// The most seconds
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_seconds: Option<f64>,
    /// The most requests to the model
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_steps: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate ask Which dose of metformin is the highest?
  quorate ask --agent fda-510k-strategist 'Is a 510(k) needed?' --model openai:gpt-4o-mini --max-cost 0.05
  quorate ask 'And in children?' --conversation ward-3
  echo 'Which dose?' | quorate ask - --json")]
pub(crate) struct Ask {
    #[command(flatten)]
    pub(crate) query: Query,
    /// The expert who answers [default: the one who fits best]
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// Let the expert plan, act and check by itself
    #[arg(long)]
    pub(crate) autonomous: bool,
    /// Go on with a conversation, or begin it
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Only documents that match
    #[arg(long = "where", value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// A file with the JSON Schema of the answer
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// With --json: a line for each event
    #[arg(long, requires = "json")]
    pub(crate) stream: bool,
    /// For services that repeat themselves on request
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) answering: Answering,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate panel 'Is a 510(k) needed for our ECG app?' --size 5 --html panel.html
  quorate panel 'Which endpoint?' --type delphi --option survival --option 'quality of life' --model openai:gpt-4o-mini")]
pub(crate) struct Panel {
    #[command(flatten)]
    pub(crate) query: Query,
    /// How the panel works: parallel, sequential, consensus, debate, socratic, delphi
    #[arg(long = "type", value_name = "TYPE", default_value = "parallel")]
    pub(crate) kind: String,
    /// How many experts
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) size: usize,
    /// An expert who sits in it; give it several times [default: those who fit best together]
    #[arg(long, value_name = "ID")]
    pub(crate) member: Vec<String>,
    /// A position to choose from; give it several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) option: Vec<String>,
    /// The most rounds
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// The share of members who must have voted
    #[arg(long, value_name = "SHARE", default_value_t = 0.6, allow_negative_numbers = true)]
    pub(crate) quorum: f64,
    /// Only documents that match
    #[arg(long = "where", value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Write a report to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// With --json: a line for each event
    #[arg(long, requires = "json")]
    pub(crate) stream: bool,
    /// Decides every draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) answering: Answering,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  quorate match 'Will Medicare pay for it?'
  quorate match 'Is a 510(k) needed?' --require regulatory.fda --max-cost 0.05")]
pub(crate) struct Match {
    #[command(flatten)]
    pub(crate) query: Query,
    /// The most experts
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    pub(crate) k: usize,
    /// A capability that they must have; give it several times
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) require: Vec<String>,
    /// Only experts that match, such as "latency = 'interactive'"
    #[arg(long = "where", value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// The most that a call may cost, in US dollars
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    pub(crate) max_cost: Option<f64>,
    /// A language that they answer in
    #[arg(long, value_name = "TAG")]
    pub(crate) language: Option<String>,
    /// Name nobody rather than guess
    #[arg(long)]
    pub(crate) abstain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Agents {
    #[command(subcommand)]
    pub(crate) action: AgentsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentsAction {
    /// All experts
    List {
        /// Only experts that match, such as "domain = 'quality'"
        #[arg(long = "where", value_name = "FILTER")]
        filter: Option<String>,
    },
    /// Experts by what they do
    Search {
        #[command(flatten)]
        query: Query,
        /// The most experts
        #[arg(short, long, value_name = "N", default_value_t = 10)]
        k: usize,
    },
    /// The definition of one
    Show {
        /// Its id
        id: String,
    },
    /// Add the experts of a YAML or JSON file, or replace those of the same ids
    Add {
        /// The file
        file: PathBuf,
    },
    /// Say everything that is wrong with a file of experts
    Validate {
        /// The file
        file: PathBuf,
    },
    /// Remove an expert that was added
    Remove {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Questions are lines of JSON: {\"question\": \"...\", \"relevant\": [\"doc-id\", ...]}; `relevant` may also be an \
object from ids to grades.
Tasks of experts are YAML, as `quorate.evaluate_agents` reads them.

Examples:
  quorate eval questions.jsonl --metric ndcg@10 --metric recall@20
  quorate eval tasks.yaml --repeat 3 --html report.html"
)]
pub(crate) struct Eval {
    /// Questions (.jsonl, .json) for retrieval, or tasks (.yaml, .yml) for experts
    pub(crate) file: PathBuf,
    /// What the file holds [default: by its name]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) of: Option<Of>,
    /// A measure of retrieval; give it several times [default: ndcg@10, recall@10, mrr@10, p@5]
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Vec<String>,
    /// By words, by meaning, or by both
    #[arg(long, value_enum, value_name = "MODE", default_value_t = By::Hybrid)]
    pub(crate) mode: By,
    /// Only documents that match
    #[arg(long = "where", value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Values of each question too
    #[arg(long)]
    pub(crate) per_query: bool,
    /// How often each task of experts is done
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) repeat: usize,
    /// Write a report on experts to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Decides the seeds of the trials
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) answering: Answering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    /// Questions with the documents that are relevant
    Retrieval,
    /// Tasks with what is expected of the answers
    Agents,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Do not read everything that is stored
    #[arg(long)]
    pub(crate) quick: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  quorate completions bash > ~/.local/share/bash-completion/completions/quorate"
)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
