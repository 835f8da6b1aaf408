//! Every strategy on every text: exact ranges, nothing lost, never too long.

use super::*;
use proptest::prelude::*;
use quorate_core::Code;
use quorate_core::embed::TokenEmbeddings;
use quorate_core::vector::Matrix;

/// A model of known arithmetic: a token is a run of alphanumerics of at most 6 characters or any other single
/// character that is not white space; its vector points to its first byte modulo 8.
struct Toy {
    limit: usize,
}

impl Embed for Toy {
    fn id(&self) -> &str {
        "toy"
    }
    fn dim(&self) -> usize {
        8
    }
    fn max_tokens(&self) -> usize {
        self.limit
    }
    fn special_tokens(&self) -> usize {
        2
    }
    fn embed(&self, texts: &[&str], _: &Cancel) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), 8);
        for (i, text) in texts.iter().enumerate() {
            out.row_mut(i).copy_from_slice(&self.embed_query(text)?);
        }
        Ok(out)
    }
    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut sum = vec![0.0_f32; 8];
        for token in self.tokenize(text)? {
            sum[text.as_bytes()[token.start] as usize % 8] += 1.0;
        }
        let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
        Ok(sum.into_iter().map(|x| x / norm).collect())
    }
    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        let offsets = self.tokenize(text)?;
        let mut vectors = Matrix::zeros(offsets.len(), 8);
        for (i, token) in offsets.iter().enumerate() {
            vectors.row_mut(i)[text.as_bytes()[token.start] as usize % 8] = 1.0;
        }
        Ok(TokenEmbeddings { vectors, offsets })
    }
    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let mut tokens: Vec<Range<usize>> = Vec::new();
        for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            let end = at + c.len_utf8();
            match tokens.last_mut() {
                Some(last)
                    if last.end == at
                        && c.is_alphanumeric()
                        && text[last.clone()].chars().all(char::is_alphanumeric)
                        && text[last.clone()].chars().count() < 6 =>
                {
                    last.end = end;
                }
                _ => tokens.push(at..end),
            }
        }
        Ok(tokens)
    }
}

/// The same, but that a `z` is 200 tokens at one place, as where a tokenizer replaces one character by a text.
struct Growing(Toy);

impl Embed for Growing {
    fn id(&self) -> &str {
        "growing"
    }
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }
    fn special_tokens(&self) -> usize {
        self.0.special_tokens()
    }
    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.0.embed(texts, cancel)
    }
    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        self.0.embed_query(text)
    }
    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let tokens = self.0.tokenize(text)?.into_iter();
        Ok(tokens.flat_map(|at| vec![at.clone(); if &text[at] == "z" { 200 } else { 1 }]).collect())
    }
}

const STRATEGIES: [ChunkStrategy; 7] = [
    ChunkStrategy::Auto,
    ChunkStrategy::Fixed,
    ChunkStrategy::Sentence,
    ChunkStrategy::Recursive,
    ChunkStrategy::Markdown,
    ChunkStrategy::Semantic,
    ChunkStrategy::Code,
];

fn cut(text: &str, options: &ChunkOptions) -> Vec<Chunk> {
    chunk("", text, options, &Toy { limit: 514 }, &Cancel::new()).unwrap()
}

fn check_laws(text: &str, options: &ChunkOptions) {
    let toy = Toy { limit: 514 };
    let chunks = cut(text, options);
    let mut covered = vec![false; text.len()];
    let mut last = 0;
    for chunk in &chunks {
        let piece = &text[chunk.range.clone()];
        assert_eq!(piece, piece.trim(), "{options:?}");
        assert!(!piece.is_empty());
        assert!(toy.tokenize(piece).unwrap().len() <= options.max_tokens, "{options:?}: {piece:?}");
        assert!(chunk.range.start >= last, "out of order: {chunks:?}");
        last = chunk.range.start;
        covered[chunk.range.clone()].fill(true);
    }
    for (at, c) in text.char_indices() {
        assert!(covered[at] || c.is_whitespace(), "{options:?} lost {c:?} at {at} of {text:?}: {chunks:?}");
    }
    if options.overlap == 0 {
        for pair in chunks.windows(2) {
            assert!(pair[0].range.end <= pair[1].range.start, "{options:?}: {chunks:?}");
        }
    }
}

#[test]
fn a_character_of_very_many_tokens_ends_nothing() {
    let text = "kidney z stone. z z again\n\n".repeat(20);
    for strategy in STRATEGIES {
        for max_tokens in [1, 4, 300] {
            let options = ChunkOptions { strategy, max_tokens, ..ChunkOptions::default() };
            let chunks = chunk("", &text, &options, &Growing(Toy { limit: 514 }), &Cancel::new()).unwrap();
            let kept: usize = chunks.iter().map(|chunk| text[chunk.range.clone()].matches('z').count()).sum();
            assert_eq!(kept, 60, "{options:?}");
        }
    }
}

proptest! {
    #[test]
    fn laws_hold_on_unicode(
        text in "(\\PC{0,40}|[a-z]{1,12}[ .!?\n]{1,2}|# [A-Z]{1,5}\n|\n\n|    x\n|```\n|漢字かな。|é|👩‍👩‍👧|\u{0}){0,40}",
        max_tokens in 1usize..20,
        overlap in 0usize..6,
    ) {
        for strategy in STRATEGIES {
            let overlap = if overlap * 2 < max_tokens { overlap } else { 0 };
            check_laws(&text, &ChunkOptions { strategy, max_tokens, overlap, ..Default::default() });
        }
    }
}

#[test]
fn sentences_stay_whole_and_overlap_by_sentence() {
    let text = "One two. Three four. Five six. Seven eight.";
    let options = |overlap| ChunkOptions {
        strategy: ChunkStrategy::Sentence,
        max_tokens: 7,
        overlap,
        ..Default::default()
    };
    let pieces = |overlap| -> Vec<String> {
        cut(text, &options(overlap)).into_iter().map(|c| text[c.range].to_owned()).collect()
    };
    assert_eq!(pieces(0), ["One two. Three four.", "Five six. Seven eight."]);
    assert_eq!(pieces(3), ["One two. Three four.", "Three four. Five six.", "Five six. Seven eight."]);
}

#[test]
fn fixed_overlaps_by_tokens() {
    let text = "a b c d e f g";
    let options =
        ChunkOptions { strategy: ChunkStrategy::Fixed, max_tokens: 4, overlap: 1, ..Default::default() };
    let pieces: Vec<&str> = cut(text, &options).into_iter().map(|c| &text[c.range]).collect();
    assert_eq!(pieces, ["a b c d", "d e f g"]);
}

#[test]
fn markdown_keeps_its_heading_path() {
    let text = "# Drug\nIntro words here.\n\n## Dose\nTake one daily with food and water.\n\n## Harm\nNone at all known today.";
    let options = ChunkOptions { max_tokens: 12, ..Default::default() };
    let chunks = cut(text, &options);
    let dose = chunks.iter().find(|c| text[c.range.clone()].contains("Take one")).unwrap();
    assert_eq!(dose.headings, ["Drug", "Dose"]);
    assert!(
        chunks
            .iter()
            .all(|c| !(text[c.range.clone()].contains("Take") && text[c.range.clone()].contains("None")))
    );
}

#[test]
fn semantic_cuts_where_the_words_change() {
    let text = "Aaa aab. Aac aad. Aae aaf. Aag aah. Bbb bbc. Bbd bbe. Bbf bbg. Bbh bbi.";
    let options =
        ChunkOptions { strategy: ChunkStrategy::Semantic, breakpoint_percentile: 80.0, ..Default::default() };
    let chunks = cut(text, &options);
    assert!(chunks.len() >= 2);
    assert!(
        chunks
            .iter()
            .all(|c| !(text[c.range.clone()].contains("Aaa") && text[c.range.clone()].contains("bbi")))
    );
}

#[test]
fn code_keeps_definitions() {
    let text = "import x\n\ndef a():\n    one\n\n    two\n\ndef b():\n    three\n";
    let options = ChunkOptions { strategy: ChunkStrategy::Code, max_tokens: 8, ..Default::default() };
    let pieces: Vec<&str> = cut(text, &options).into_iter().map(|c| &text[c.range]).collect();
    assert_eq!(pieces, ["import x", "def a():\n    one\n\n    two", "def b():\n    three"]);
}

#[test]
fn late_vectors_are_means_of_token_vectors() {
    let text = "a b c d e f g h";
    let toy = Toy { limit: 6 };
    let options =
        ChunkOptions { strategy: ChunkStrategy::Fixed, max_tokens: 2, late: true, ..Default::default() };
    let chunks = chunk("", text, &options, &toy, &Cancel::new()).unwrap();
    assert_eq!(chunks.len(), 4);
    let vectors = embed_late(text, &chunks, &toy, &Cancel::new()).unwrap();
    for (row, chunk) in vectors.iter().zip(&chunks) {
        let want = toy.embed_query(&text[chunk.range.clone()]).unwrap();
        assert!(row.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?} {want:?}");
    }
}

#[test]
fn headers_leave_room_for_the_text() {
    let toy = Toy { limit: 42 };
    let options = ChunkOptions::default();
    let text = "word ".repeat(200);
    let count = |text: &str| toy.tokenize(text).unwrap().len();
    let mut longest = Vec::new();
    for title in ["", "Dose of it", &"very long title ".repeat(30)] {
        let pieces = chunk(title, &text, &options, &toy, &Cancel::new()).unwrap();
        longest.push(pieces.iter().map(|piece| count(&text[piece.range.clone()])).max().unwrap());
        for piece in pieces {
            let embedded = with_header(title, &piece.headings, &text[piece.range], &toy).unwrap();
            assert!(count(&embedded) + 2 <= 42);
        }
    }
    // No more than the title needs is kept free.
    assert!(longest[0] > longest[1] && longest[1] > longest[2], "{longest:?}");
    let under = format!("# Dose\n\n{text}");
    for piece in chunk("very long title", &under, &options, &toy, &Cancel::new()).unwrap() {
        let embedded = with_header("very long title", &piece.headings, &under[piece.range], &toy).unwrap();
        assert!(count(&embedded) + 2 <= 42);
    }
    assert_eq!(with_header(" ", &[], "x", &toy).unwrap(), "x");
    assert_eq!(with_header("T", &["H".into()], "x", &toy).unwrap(), "T > H\nx");
}

#[test]
fn bad_options_and_empty_texts() {
    let toy = Toy { limit: 514 };
    for options in [
        ChunkOptions { max_tokens: 0, ..Default::default() },
        ChunkOptions { max_tokens: 10, overlap: 5, ..Default::default() },
        ChunkOptions { breakpoint_percentile: f64::NAN, ..Default::default() },
    ] {
        assert_eq!(chunk("", "x", &options, &toy, &Cancel::new()).unwrap_err().code(), Code::InvalidArgument);
    }
    for strategy in STRATEGIES {
        let options = ChunkOptions { strategy, ..Default::default() };
        assert!(chunk("", "", &options, &toy, &Cancel::new()).unwrap().is_empty());
        assert!(chunk("", " \n\t ", &options, &toy, &Cancel::new()).unwrap().is_empty());
    }
    assert!(chunk("", "x", &ChunkOptions::default(), &Toy { limit: 2 }, &Cancel::new()).is_err());
    let cancel = Cancel::new();
    cancel.cancel();
    assert_eq!(chunk("", "x", &ChunkOptions::default(), &toy, &cancel).unwrap_err().code(), Code::Cancelled);
}

#[test]
fn a_long_text_of_few_words_takes_time_in_proportion() {
    let toy = Toy { limit: 514 };
    let time = |text: &str| {
        let start = std::time::Instant::now();
        let chunks = chunk("", text, &ChunkOptions::default(), &toy, &Cancel::new()).unwrap();
        assert!(chunks.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        let covered: usize = chunks.iter().map(|chunk| chunk.range.len()).sum();
        assert!(covered + chunks.len() + 1 >= text.len(), "{covered} of {}", text.len());
        start.elapsed()
    };
    let headings = "# a\n".repeat(40_000);
    for unit in ["ab cd. ", "ab cd ", "# A\n\nab cd ab cd ", &headings] {
        let of = |bytes: usize| format!("{unit}{}", "ab cd. ".repeat(bytes / 7));
        let (short, long) = (of(200_000), of(1_600_000));
        let (short, long) = (time(&short).max(std::time::Duration::from_millis(20)), time(&long));
        // Eight times the text; sixty-four times the time where it was quadratic.
        assert!(long < short * 30, "{unit:.20}: {short:?}, then {long:?}");
    }
}

#[test]
fn laws_hold_beyond_one_window() {
    let prose =
        "One two three. Four five? Six, seven eight nine.\n\nTen eleven é twelve.\r\n\r\n* item 漢字 one\n";
    let long = format!("# Title\n\n{}```\ncode here\n```\n{}", prose.repeat(60), "ab cd ".repeat(900));
    for strategy in STRATEGIES {
        for overlap in [0, 5] {
            let options = ChunkOptions { strategy, max_tokens: 12, overlap, ..Default::default() };
            check_laws(&long, &options);
            let starts: Vec<usize> = cut(&long, &options).iter().map(|chunk| chunk.range.start).collect();
            assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{options:?}");
        }
    }
    let recursive = |overlap| {
        let options = ChunkOptions {
            strategy: ChunkStrategy::Recursive,
            max_tokens: 12,
            overlap,
            ..Default::default()
        };
        let chunks = cut(&"ab cd ".repeat(900), &options);
        chunks.windows(2).filter(|pair| pair[1].range.start < pair[0].range.end).count() + 1 == chunks.len()
    };
    assert!(recursive(4) && !recursive(0));
}

#[test]
fn an_overlap_that_is_asked_for_is_there() {
    let toy = Toy { limit: 514 };
    let text = "Sentences of more words than the overlap holds stand here; they are cut. ".repeat(8)
        + "\n\n"
        + &"漢字かなの文はここに続く。".repeat(20);
    let overlaps = |options: &ChunkOptions| {
        let chunks = cut(&text, options);
        let pairs: Vec<_> = chunks.windows(2).collect();
        let shared = pairs.iter().filter_map(|pair| text.get(pair[1].range.start..pair[0].range.end));
        let counts: Vec<usize> = shared.map(|piece| toy.tokenize(piece).unwrap().len()).collect();
        assert!(pairs.iter().all(|pair| pair[0].range.start < pair[1].range.start), "{options:?}");
        (counts.iter().filter(|&&count| count > 0).count(), pairs.len(), counts.into_iter().max())
    };
    for strategy in [ChunkStrategy::Recursive, ChunkStrategy::Fixed] {
        let options = ChunkOptions { strategy, max_tokens: 20, overlap: 5, ..Default::default() };
        let (shared, pairs, most) = overlaps(&options);
        assert_eq!(shared, pairs, "{options:?}");
        assert!(most <= Some(5), "{options:?}: {most:?}");
        check_laws(&text, &options);
    }
}

#[test]
fn late_vectors_of_chunks_in_any_order() {
    let text = "aa bb cc dd ee ff gg hh";
    let toy = Toy { limit: 6 };
    let ranges = [12..17, 0..5, 3..8, 0..23, 0..0];
    let chunks: Vec<Chunk> =
        ranges.iter().map(|range| Chunk { range: range.clone(), ..Chunk::default() }).collect();
    let vectors = embed_late(text, &chunks, &toy, &Cancel::new()).unwrap();
    for (row, range) in vectors.iter().zip(&ranges).take(3) {
        let want = toy.embed_query(&text[range.clone()]).unwrap();
        assert!(row.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{range:?}: {row:?} {want:?}");
    }
    // No token begins in the last one.
    assert!(vectors.row(4).iter().all(|&x| x == 0.0));
    let outside = [Chunk { range: 3..99, ..Chunk::default() }];
    assert_eq!(embed_late(text, &outside, &toy, &Cancel::new()).unwrap_err().code(), Code::InvalidDocument);
}
