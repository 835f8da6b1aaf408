//! Does a string match a LIKE pattern?

/// A pattern of characters, `%` (any run, also empty) and `_` (any one character); `\` makes the next one literal.
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Literal(char),
    One,
    Run,
}

impl Pattern {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut parts = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let part = match c {
                '%' => Part::Run,
                '_' => Part::One,
                '\\' => Part::Literal(chars.next().unwrap_or('\\')),
                c => Part::Literal(c),
            };
            if part != Part::Run || parts.last() != Some(&Part::Run) {
                parts.push(part);
            }
        }
        Pattern(parts)
    }

    /// Greedy match with one point of return: at most pattern length x text length steps.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let parts = &self.0;
        let mut part = 0;
        let mut rest = text.chars();
        let mut back: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next();
            match (parts.get(part), next) {
                (Some(Part::Run), _) => {
                    part += 1;
                    back = Some((part, rest.clone()));
                    continue;
                }
                (Some(Part::One), Some(_)) => {}
                (Some(Part::Literal(want)), Some(got)) if *want == got => {}
                (None, None) => return true,
                _ => {
                    let Some((after, from)) = &mut back else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    part = *after;
                    rest = from.clone();
                    continue;
                }
            }
            part += 1;
            rest = ahead;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(p: &[char], t: &[char]) -> bool {
        match p.split_first() {
            None => t.is_empty(),
            Some(('%', rest)) => (0..=t.len()).any(|i| slow(rest, &t[i..])),
            Some(('_', rest)) => !t.is_empty() && slow(rest, &t[1..]),
            Some((c, rest)) => t.first() == Some(c) && slow(rest, &t[1..]),
        }
    }

    proptest! {
        #[test]
        fn equals_the_definition(p in "[ab%_é]{0,8}", t in "[abé]{0,10}") {
            let want = slow(&p.chars().collect::<Vec<_>>(), &t.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::new(&p).matches(&t), want);
        }
    }

    #[test]
    fn escapes_and_hostile_patterns() {
        assert!(Pattern::new("100\\%").matches("100%"));
        assert!(!Pattern::new("100\\%").matches("1000"));
        assert!(!Pattern::new(&"%a".repeat(2000)).matches(&"a".repeat(1999)));
    }
}
