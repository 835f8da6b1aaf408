//! Which words announce a part, and beside which do they announce none?

/// Words that may stand before the first part and say nothing.
pub(super) const FILLERS: [&str; 12] =
    ["and", "but", "then", "also", "only", "ok", "okay", "well", "hi", "hello", "please", "even"];
/// What announces a situation wherever it stands. The first few say no more than that.
pub(super) const WHEN: [&[&str]; 17] = [
    &["when"],
    &["whenever"],
    &["every", "time", "that"],
    &["every", "time"],
    &["each", "time", "that"],
    &["each", "time"],
    &["any", "time"],
    &["anytime"],
    &["as", "soon", "as"],
    &["in", "case"],
    &["in", "the", "event", "that"],
    &["the", "moment"],
    &["if"],
    &["while"],
    &["whilst"],
    &["once"],
    &["now", "that"],
];
/// Of these, how many are left out of the situation's text: the others say something.
pub(super) const PLAIN: usize = 8;
/// What announces a situation at the beginning, or behind a punctuation mark.
pub(super) const AT_FRONT: [&[&str]; 15] = [
    &["after"],
    &["before"],
    &["during"],
    &["upon"],
    &["given", "that"],
    &["given"],
    &["since"],
    &["until"],
    &["on"],
    &["in"],
    &["at"],
    &["with"],
    &["having"],
    &["under"],
    &["throughout"],
];
/// Verbs that a clause with `when` or `if` completes, and other words before which it tells no situation.
pub(super) const COMPLETED: [&str; 40] = [
    "know",
    "knows",
    "knowing",
    "see",
    "tell",
    "decide",
    "out",
    "check",
    "learn",
    "understand",
    "say",
    "ask",
    "choose",
    "remember",
    "show",
    "aware",
    "sure",
    "predict",
    "wonder",
    "determine",
    "exactly",
    "of",
    "about",
    "idea",
    "even",
    "only",
    "matter",
    "as",
    "at",
    "a",
    "the",
    "worth",
    "for",
    "all",
    "verify",
    "confirm",
    "find",
    "plan",
    "schedule",
    "guess",
];
/// Who is told, between such a verb and `when`: "tell me when".
pub(super) const OBJECTS: [&str; 7] = ["me", "us", "him", "her", "them", "people", "everyone"];
/// Words behind which `I want to` is no main clause.
pub(super) const SUBORDINATE: [&str; 58] = [
    "when",
    "whenever",
    "if",
    "because",
    "that",
    "what",
    "which",
    "who",
    "whom",
    "whose",
    "where",
    "why",
    "how",
    "while",
    "as",
    "until",
    "unless",
    "since",
    "though",
    "although",
    "than",
    "whatever",
    "whoever",
    "wherever",
    "once",
    "before",
    "after",
    "whether",
    "says",
    "said",
    "say",
    "saying",
    "asks",
    "writes",
    "thinks",
    "think",
    "tells",
    "told",
    "everything",
    "anything",
    "all",
    "thing",
    "things",
    "something",
    "nothing",
    "way",
    "time",
    "moment",
    "reason",
    "place",
    "everyone",
    "one",
    "those",
    "person",
    "only",
    "and",
    "or",
    "so",
];
/// What may stand between who wants and the verb.
pub(super) const ADVERBS: [&str; 16] = [
    "really", "also", "just", "always", "only", "first", "then", "simply", "often", "usually", "still",
    "now", "do", "would", "quickly", "will",
];
/// Whose "can" goes without saying: "so I can".
pub(super) const I_AND_WE: [&str; 4] = ["i", "we", "i'd", "we'd"];
/// What asks for help: "help me find".
pub(super) const HELP: [&str; 4] = ["help", "let", "allow", "enable"];
/// What somebody else does who wants: "the nurse wants to".
pub(super) const VERBS: [&str; 7] = ["wants", "needs", "want", "need", "wishes", "has", "would"];
/// Who wants, as one word.
pub(super) const SUBJECTS: [&str; 12] =
    ["i", "we", "i'd", "we'd", "i'm", "we're", "he", "she", "they", "you", "he'd", "they'd"];
/// Behind a bare `so`: what begins a clause, so that the word is no "so many" and no "and so on".
pub(super) const CLAUSE: [&str; 36] = [
    "i",
    "we",
    "he",
    "she",
    "it",
    "they",
    "you",
    "i'm",
    "we're",
    "it's",
    "they're",
    "i'll",
    "we'll",
    "i'd",
    "the",
    "a",
    "an",
    "my",
    "our",
    "your",
    "his",
    "her",
    "their",
    "its",
    "this",
    "these",
    "those",
    "nobody",
    "nothing",
    "everybody",
    "everyone",
    "no",
    "every",
    "each",
    "all",
    "there",
];
/// Before a bare `so`: with it, another word.
pub(super) const NO_OUTCOME: [&str; 9] = ["or", "if", "say", "says", "said", "think", "hope", "even", "not"];
/// Before a `so` that makes the next word stronger: "is so full".
pub(super) const STATES: [&str; 10] =
    ["is", "are", "was", "were", "am", "be", "been", "feel", "feels", "get"];
/// What somebody can: behind `so` and who it is.
pub(super) const CAN: [&str; 12] =
    ["can", "could", "may", "might", "will", "would", "won't", "don't", "doesn't", "never", "know", "get"];

/// Behind `so`, words that it makes stronger.
pub(super) const INTENSE: [&str; 24] = [
    "much", "many", "few", "little", "far", "long", "often", "badly", "soon", "late", "early", "big",
    "small", "on", "forth", "what", "be", "to", "called", "well", "hard", "quickly", "fast", "easily",
];
